/* The query line: completion of fields and values, and the place of an error shown in the query itself. */
import { CloseButton, Combobox, Kbd, TextInput, useCombobox } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type RefObject } from "react";
import { facetsQuery, fieldsQuery, type AuditKey } from "../api/queries";
import type { FieldError } from "../api/types";
import { compact } from "../lib/format";
import { complete, cursorAt, markAt } from "../lib/querylang";
import { IconAlertCircle, IconSearch } from "./icons";
import { Txt } from "./text";

interface Props {
  value: string;
  onChange: (q: string) => void;
  onSubmit: (q: string) => void;
  /** Where values are looked up: the tenant and range of the search. */
  scope: AuditKey;
  invalid: boolean;
  ref: RefObject<HTMLInputElement | null>;
}

interface Option {
  value: string;
  hint: string;
  example?: string;
}

export function QueryInput({ value, onChange, onSubmit, scope, invalid, ref }: Props) {
  const box = useCombobox({ onDropdownClose: () => box.resetSelectedOption() });
  const [caret, setCaret] = useState(value.length);
  const after = useRef<number | undefined>(undefined);
  const fields = useQuery(fieldsQuery);
  const cur = cursorAt(value, caret);
  const [field] = useDebouncedValue(cur.kind === "value" ? cur.field : "", 150);
  const named = fields.data?.items.find((f) => f.name === field || f.aliases.includes(field));
  const facetable = named?.facet === true || field.startsWith("label.");
  const values = useQuery({
    ...facetsQuery({ ...scope, q: undefined }, field.startsWith("label.") ? field : (named?.name ?? ""), 50),
    enabled: facetable && box.dropdownOpened,
  });

  useEffect(() => {
    if (after.current === undefined || !ref.current) return;
    ref.current.setSelectionRange(after.current, after.current);
    setCaret(after.current);
    after.current = undefined;
  }, [value, ref]);

  const options: Option[] = [];
  const p = cur.prefix.toLowerCase();
  if (cur.kind === "field") {
    for (const f of fields.data?.items ?? []) {
      const name = f.type === "labels" ? `${f.name}.` : f.name;
      if (f.name.startsWith(p) || (p && (f.name.includes(p) || f.aliases.some((a) => a.startsWith(p))))) {
        options.push({ value: name + (f.type === "labels" ? "" : ["number", "bytes", "duration"].includes(f.type) && !f.facet ? ">" : ":"), hint: f.doc, example: f.example });
      }
    }
  } else if (cur.field === field) {
    for (const v of named?.values ?? []) if (v.toLowerCase().includes(p)) options.push({ value: v, hint: "" });
    if (!named?.values?.length)
      for (const v of values.data?.values ?? []) if (v.value !== "" && v.value.toLowerCase().includes(p)) options.push({ value: v.value, hint: compact(v.count) });
  }
  const shown = options.slice(0, 9);
  const track = (el: HTMLInputElement) => setCaret(el.selectionStart ?? el.value.length);

  return (
    <Combobox
      store={box}
      shadow="md"
      onOptionSubmit={(v) => {
        const r = complete(value, cur, v);
        after.current = r.caret;
        onChange(r.q);
        box.resetSelectedOption();
        ref.current?.focus();
      }}
    >
      <Combobox.Target>
        <TextInput
          ref={ref}
          className="queryinput"
          aria-label="Search the audit log"
          placeholder={'actor:alice@* action:file.* -country:DE "free text"'}
          maxLength={4096}
          spellCheck={false}
          autoCapitalize="off"
          autoCorrect="off"
          error={invalid}
          leftSection={<IconSearch size={15} aria-hidden />}
          rightSection={value ? <CloseButton size="xs" aria-label="Clear the search" onClick={() => (onChange(""), onSubmit(""))} /> : <Kbd size="xs">/</Kbd>}
          value={value}
          onChange={(e) => {
            onChange(e.currentTarget.value);
            track(e.currentTarget);
            box.openDropdown();
            box.resetSelectedOption();
          }}
          onFocus={() => box.openDropdown()}
          onClick={(e) => {
            track(e.currentTarget);
            box.openDropdown();
          }}
          onBlur={() => box.closeDropdown()}
          onKeyUp={(e) => track(e.currentTarget)}
          onKeyDown={(e) => {
            if (e.key === "Enter" && box.getSelectedOptionIndex() < 0) {
              onSubmit(value);
              box.closeDropdown();
              e.currentTarget.blur();
            }
            if (e.key === "Escape") {
              if (box.dropdownOpened) box.closeDropdown();
              else e.currentTarget.blur();
            }
          }}
        />
      </Combobox.Target>
      <Combobox.Dropdown hidden={shown.length === 0}>
        <Combobox.Options aria-label="Completions">
          {shown.map((o) => (
            <Combobox.Option value={o.value} key={o.value}>
              <span className="row">
                <Txt value={o.value} mono className="cut" />
                <span className="dim cut grow" style={{ textAlign: cur.kind === "value" ? "right" : "left" }}>
                  {o.hint}
                </span>
                {o.example && <span className="mono dim wide-only">{o.example}</span>}
              </span>
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

/** The complaint about a query, with its place marked and the likely meaning a click away. */
export function QueryError({ q, error, apply }: { q: string; error: FieldError; apply: (q: string) => void }) {
  const m = markAt(q, error.column ?? 1);
  return (
    <div className="queryerror" role="alert">
      <IconAlertCircle size={16} aria-hidden />
      <div className="wrap">
        <div>{error.message}</div>
        {error.column !== undefined && (
          <div className="mono">
            <Txt value={m.before} title="" />
            <mark>{m.at ? <Txt value={m.at} title="" /> : "␣"}</mark>
            <Txt value={m.after} title="" />
          </div>
        )}
        {error.suggestion && (
          <button type="button" className="link plain" onClick={() => apply(m.before + (error.suggestion ?? "") + m.after)}>
            Use <span className="mono">{error.suggestion}</span>
          </button>
        )}
      </div>
    </div>
  );
}
