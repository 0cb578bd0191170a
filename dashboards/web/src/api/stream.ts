/* The live stream of alerts, and whether it is up: one connection a page. */
import { useSyncExternalStore } from "react";
import type { StreamAlert } from "./types";

export type LinkState = "connecting" | "live" | "down";

type Listener = (a: StreamAlert | "missed") => void;

class Live {
  private source: EventSource | undefined;
  private state: LinkState = "connecting";
  private readonly onAlert = new Set<Listener>();
  private readonly onState = new Set<() => void>();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private wait = 1000;

  start(): void {
    if (this.source || this.retry) return;
    this.set("connecting");
    const s = new EventSource("/api/v1/stream");
    this.source = s;
    s.onopen = () => {
      // After a gap nobody knows what was missed: the lists read again.
      if (this.wait > 1000) this.emit("missed");
      this.wait = 1000;
      this.set("live");
    };
    s.addEventListener("alert", (m) => {
      try {
        this.emit(JSON.parse((m as MessageEvent<string>).data) as StreamAlert);
      } catch {
        this.emit("missed");
      }
    });
    s.addEventListener("missed", () => this.emit("missed"));
    s.onerror = () => {
      this.set("down");
      // The browser reconnects by itself after a dropped connection, but not after a refusal.
      if (s.readyState !== EventSource.CLOSED) return;
      this.source = undefined;
      this.wait = Math.min(this.wait * 2, 30_000);
      this.retry = setTimeout(() => {
        this.retry = undefined;
        this.start();
      }, this.wait);
    };
  }

  stop(): void {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.set("connecting");
  }

  private emit(a: StreamAlert | "missed"): void {
    for (const f of this.onAlert) f(a);
  }

  private set(s: LinkState): void {
    if (this.state === s) return;
    this.state = s;
    for (const f of this.onState) f();
  }

  readonly get = (): LinkState => this.state;
  readonly watch = (f: () => void): (() => void) => {
    this.onState.add(f);
    return () => this.onState.delete(f);
  };
  readonly listen = (f: Listener): (() => void) => {
    this.onAlert.add(f);
    return () => this.onAlert.delete(f);
  };
}

export const live = new Live();

export const useLink = (): LinkState => useSyncExternalStore(live.watch, live.get);
