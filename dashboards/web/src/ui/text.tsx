/* The only way log content reaches the page: as text, with nothing hidden. */
import { segments, visible } from "../lib/text";

interface Props {
  value: string;
  mono?: boolean;
  className?: string;
  /** Shown on hover; the whole text by default. */
  title?: string | undefined;
}

export function Txt({ value, mono, className = "", title }: Props) {
  const parts = segments(value);
  return (
    <span dir="auto" className={`txt ${mono ? "mono " : ""}${className}`} title={title ?? visible(value)}>
      {parts.map((p, i) =>
        p.mark ? (
          <span key={i} className="ctl" title={p.mark}>
            {p.text}
          </span>
        ) : (
          p.text
        ),
      )}
    </span>
  );
}
