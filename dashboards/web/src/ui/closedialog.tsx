/* Closing with a verdict, by one key: what it was, and, when one wants, why. */
import "../styles/dialog";
import "../styles/work.css";
import { Button, Kbd, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import type { Verdict } from "../api/types";
import { plural } from "../lib/format";
import { VERDICTS } from "./badges";

export interface Closing {
  verdict: Verdict | undefined;
  comment: string;
}

const CHOICES: { key: string; verdict: Verdict | undefined; name: string; what: string }[] = [
  { key: "t", verdict: "true_positive", name: VERDICTS.true_positive, what: "An attack, or what it found is really bad" },
  { key: "b", verdict: "benign", name: VERDICTS.benign, what: "It happened as told, and that is fine" },
  { key: "f", verdict: "false_positive", name: VERDICTS.false_positive, what: "It should not have been raised" },
  { key: "d", verdict: "duplicate", name: VERDICTS.duplicate, what: "Told of already in another alert" },
  { key: "n", verdict: undefined, name: "No verdict", what: "Closed without saying what it was" },
];

export default function CloseDialog({ n, close, run }: { n: number; close: () => void; run: (c: Closing) => void }) {
  const [comment, setComment] = useState("");
  const pick = (verdict: Verdict | undefined) => {
    close();
    run({ verdict, comment: comment.trim() });
  };
  return (
    <Modal opened onClose={close} title={n === 1 ? "Close the alert as" : `Close ${plural(n, "alert")} as`} closeButtonProps={{ "aria-label": "Close" }}>
      <div
        className="stack"
        style={{ gap: 14 }}
        onKeyDown={(e) => {
          if (e.ctrlKey || e.metaKey || e.altKey || e.target instanceof HTMLTextAreaElement) return;
          const c = CHOICES.find((x) => x.key === e.key);
          if (!c) return;
          e.preventDefault();
          pick(c.verdict);
        }}
      >
        <div className="verdicts">
          {CHOICES.map((c, i) => (
            <button type="button" key={c.key} onClick={() => pick(c.verdict)} data-autofocus={i === 0 || undefined}>
              <span className="grow">
                <b>{c.name}</b>
                <span className="dim">{c.what}</span>
              </span>
              <Kbd size="xs">{c.key}</Kbd>
            </button>
          ))}
        </div>
        <Textarea label="Comment" description="Optional; kept in the history" size="sm" autosize minRows={2} maxRows={6} maxLength={8192} value={comment} onChange={(e) => setComment(e.currentTarget.value)} />
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
        </div>
      </div>
    </Modal>
  );
}
