import { Button, Popover, TextInput } from "@mantine/core";
import { useState } from "react";
import { stamp, zoneName } from "../lib/format";
import { DEFAULT_RANGE, fromInput, PRESETS, toInput, type RangeState } from "../lib/timerange";
import { IconCheck, IconClock, IconDown } from "./icons";
import { usePrefs } from "./prefs";

export function TimeRange({ value, onChange }: { value: RangeState; onChange: (r: RangeState) => void }) {
  const { zone, now } = usePrefs();
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const absolute = Boolean(value.from || value.to);
  const preset = PRESETS.find((p) => p.key === (value.range ?? DEFAULT_RANGE));
  const label = absolute
    ? `${value.from ? stamp(value.from, zone).slice(0, 16) : "the first"} – ${value.to ? stamp(value.to, zone).slice(0, 16) : "the latest"}`
    : (preset?.label ?? "");
  const a = fromInput(from, zone);
  const b = fromInput(to, zone);
  const bad = a && b && a >= b ? "The end must be after the begin." : undefined;
  const toggle = () => {
    setFrom(toInput(value.from, zone));
    setTo(toInput(value.to, zone));
    setOpen(!open);
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" size="sm" className="num rangebtn" onClick={toggle} leftSection={<IconClock size={15} />} rightSection={<IconDown size={14} />} aria-label={`Time range: ${label}`}>
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0} aria-label="Time range">
        <div className="range">
          <div className="presets">
            {PRESETS.map((p) => (
              <button
                type="button"
                key={p.key}
                aria-pressed={!absolute && p.key === preset?.key}
                onClick={() => {
                  onChange({ range: p.key });
                  setOpen(false);
                }}
              >
                <span className="grow">{p.label}</span>
                {!absolute && p.key === preset?.key && <IconCheck size={14} aria-hidden />}
              </button>
            ))}
          </div>
          <form
            onSubmit={(e) => {
              e.preventDefault();
              if (bad || (!a && !b)) return;
              onChange({ ...(a ? { from: a } : {}), ...(b ? { to: b } : {}) });
              setOpen(false);
            }}
          >
            <TextInput size="xs" type="datetime-local" step={1} label={`From (${zoneName(new Date(now), zone)})`} value={from} onChange={(e) => setFrom(e.currentTarget.value)} />
            <TextInput size="xs" type="datetime-local" step={1} label="To, not included" value={to} onChange={(e) => setTo(e.currentTarget.value)} error={bad} />
            <Button type="submit" disabled={Boolean(bad) || (!a && !b)}>
              Apply
            </Button>
          </form>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
