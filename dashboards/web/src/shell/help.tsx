import "../styles/dialog";
import { Kbd, Modal } from "@mantine/core";

const GROUPS: [string, [string[], string][]][] = [
  [
    "Everywhere",
    [
      [["Ctrl", "K"], "Go to a page, a tenant or an entity"],
      [["/"], "Search"],
      [["?"], "This help"],
      [["Esc"], "Leave the search, close what is open"],
    ],
  ],
  [
    "In a list",
    [
      [["j"], "Next row"],
      [["k"], "Previous row"],
      [["Enter"], "Open the row"],
      [["r"], "Load what is new"],
    ],
  ],
  [
    "In the alerts queue",
    [
      [["x"], "Select the row, or a group"],
      [["Shift", "X"], "Select from the last selected to here"],
      [["Shift", "J"], "Select while moving on"],
      [["s"], "Start work"],
      [["a"], "Assign to me"],
      [["e"], "Close with a verdict, or open again"],
      [["g"], "Group by the next thing"],
      [["Esc"], "Select none"],
    ],
  ],
  [
    "On an alert",
    [
      [["s"], "Start work: in progress"],
      [["a"], "Assign to me"],
      [["e"], "Close with a verdict, or open again"],
      [["c"], "Comment"],
      [["h"], "Suppress…"],
      [["j", "k"], "Next and previous alert of the list"],
      [["u"], "Back to the list"],
    ],
  ],
];

export default function Help({ close }: { close: () => void }) {
  return (
    <Modal opened onClose={close} title="Keyboard shortcuts" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="help">
        {GROUPS.map(([name, keys]) => (
          <section key={name}>
            <h3>{name}</h3>
            <dl>
              {keys.map(([k, what]) => (
                <div key={what}>
                  <dt>{what}</dt>
                  <dd>
                    {k.map((x) => (
                      <Kbd key={x} size="xs">
                        {x}
                      </Kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
