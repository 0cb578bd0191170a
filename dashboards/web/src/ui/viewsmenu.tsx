/* Views: filters with a name, one click away; what is shown is always in the URL. */
import { Button, Menu } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { readViews, sameView, STANDARD, writeViews } from "../lib/views";
import type { AlertsSearch } from "../lib/urlstate";
import { useSession } from "../session";
import { IconCheck, IconDown, IconTrash } from "./icons";
import { Txt } from "./text";
import { useToast } from "./toast";

const NameView = lazy(() => import("./nameview"));

export function ViewsMenu({ search, go }: { search: AlertsSearch; go: (s: AlertsSearch) => void }) {
  const { user } = useSession();
  const who = user.email || user.name;
  const say = useToast();
  const [views, setViews] = useState(() => readViews(who));
  const [naming, setNaming] = useState(false);
  const { tenant: _, ...bare } = search;
  const current = [...views, ...STANDARD].find((v) => sameView(v.search, search));
  const mark = (s: AlertsSearch) => (sameView(s, search) ? <IconCheck size={14} aria-hidden /> : <span style={{ width: 14 }} />);
  return (
    <>
      <Menu position="bottom-start" width={260}>
        <Menu.Target>
          <Button variant="default" rightSection={<IconDown size={14} />} className="viewsbtn">
            <span className="sr">View: </span>
            {current ? <Txt value={current.name} className="cut" /> : "Views"}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {STANDARD.map((v) => (
            <Menu.Item key={v.name} leftSection={mark(v.search)} onClick={() => go(v.search)}>
              {v.name}
            </Menu.Item>
          ))}
          {views.length > 0 && <Menu.Label>Saved by you, in this browser</Menu.Label>}
          {views.map((v) => (
            <div className="row viewrow" key={v.name} style={{ gap: 0 }}>
              <Menu.Item leftSection={mark(v.search)} onClick={() => go(v.search)} style={{ flex: 1, minWidth: 0 }}>
                <Txt value={v.name} className="cut blk" />
              </Menu.Item>
              <Menu.Item
                aria-label={`Forget the view ${v.name}`}
                style={{ width: "auto", flex: "none" }}
                onClick={() => {
                  const before = views;
                  setViews(writeViews(who, views.filter((x) => x !== v)));
                  say(`View “${v.name}” removed`, { action: { label: "Undo", run: () => setViews(writeViews(who, before)) } });
                }}
              >
                <IconTrash size={14} aria-hidden />
              </Menu.Item>
            </div>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<span style={{ width: 14 }} />} onClick={() => setNaming(true)}>
            Save this view…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Suspense>
        {naming && (
          <NameView
            close={() => setNaming(false)}
            save={(n) => {
              setViews(writeViews(who, [...views.filter((v) => v.name !== n), { name: n, search: bare }]));
              setNaming(false);
              say(`View “${n}” saved`);
            }}
          />
        )}
      </Suspense>
    </>
  );
}
