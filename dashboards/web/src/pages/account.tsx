/* One's own account: the password, the second factor, and where one is signed in. */
import { Button, Modal, PasswordInput, TextInput } from "@mantine/core";
import "@mantine/core/styles/PasswordInput.layer.css";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { sessionQuery, sessionsQuery } from "../api/queries";
import { useSession } from "../session";
import { Secret } from "../ui/admin";
import { CopyButton } from "../ui/copy";
import { Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const METHODS = { password: "password", totp: "password and code", recovery: "recovery code", oidc: "single sign-on" } as const;

export default function Account() {
  useTitle("Your account");
  const session = useSession();
  return (
    <div className="doc narrowdoc">
      <header className="dochead">
        <div className="grow">
          <h1>Your account</h1>
          <p className="dim">
            <Txt value={session.user.email || session.user.name} />
          </p>
        </div>
      </header>
      <div className="stack">
        {session.must_change_password && (
          <div className="conflict" role="alert">
            An administrator set your password. Choose one of your own; until then nothing else can be done.
          </div>
        )}
        <Password />
        {!session.must_change_password && <SecondFactor on={session.second_factor ?? false} />}
        {!session.must_change_password && <Sessions />}
      </div>
    </div>
  );
}

const Problem = ({ error }: { error: unknown }) => {
  if (!error) return null;
  const e = asApiError(error);
  return (
    <div role="alert" className="formerror wrap">
      {e.title}. {e.detail}
    </div>
  );
};

function Password() {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const say = useToast();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: () => body(client.POST("/api/v1/session/password", { body: { current_password: old, new_password: fresh } })),
    onSuccess: () => {
      setOld("");
      setFresh("");
      setAgain("");
      say("Password changed. Your other sessions have ended.");
      void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
      void queries.invalidateQueries({ queryKey: ["sessions"] });
    },
  });
  const differs = again !== "" && again !== fresh;
  return (
    <section className="panel">
      <header>
        <h2>Password</h2>
      </header>
      <form
        className="body stack"
        style={{ gap: 12, maxWidth: 380 }}
        onSubmit={(e) => {
          e.preventDefault();
          if (fresh === again) change.mutate();
        }}
      >
        <PasswordInput label="Current password" autoComplete="current-password" required withAsterisk={false} value={old} onChange={(e) => setOld(e.currentTarget.value)} />
        <PasswordInput label="New password" description="At least ten characters." autoComplete="new-password" required withAsterisk={false} minLength={10} value={fresh} onChange={(e) => setFresh(e.currentTarget.value)} />
        <PasswordInput label="Once more" autoComplete="new-password" required withAsterisk={false} value={again} onChange={(e) => setAgain(e.currentTarget.value)} error={differs ? "The two are not the same." : undefined} />
        <Problem error={change.error} />
        <div>
          <Button type="submit" loading={change.isPending} disabled={!old || !fresh || fresh !== again}>
            Change the password
          </Button>
        </div>
      </form>
    </section>
  );
}

function SecondFactor({ on }: { on: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <section className="panel">
      <header>
        <h2>Second factor</h2>
        <span className="dim">{on ? "on: an authenticator app" : "off"}</span>
      </header>
      <div className="body stack" style={{ gap: 12 }}>
        <p style={{ margin: 0 }} className="dim wrap">
          {on ? "Signing in asks for a code of your authenticator app beside the password." : "With it a stolen password is not enough: signing in also asks for a code that your authenticator app shows."}
        </p>
        <div>
          <Button variant={on ? "default" : "filled"} onClick={() => setOpen(true)}>
            {on ? "Turn it off" : "Turn it on"}
          </Button>
        </div>
      </div>
      <Modal opened={open} onClose={() => setOpen(false)} title={on ? "Turn the second factor off" : "Turn the second factor on"} closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
        {open && (on ? <Remove close={() => setOpen(false)} /> : <Enrol close={() => setOpen(false)} />)}
      </Modal>
    </section>
  );
}

function Enrol({ close }: { close: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const queries = useQueryClient();
  const begin = useMutation({ mutationFn: () => body(client.POST("/api/v1/session/totp", { body: { password } })) });
  const confirm = useMutation({
    mutationFn: () => body(client.POST("/api/v1/session/totp/confirm", { body: { code } })),
    onError: () => setCode(""),
  });
  if (confirm.data) {
    const codes = confirm.data.recovery_codes.join("\n");
    return (
      <div className="stack" style={{ gap: 16 }}>
        <Secret secret={codes} label="recovery codes">
          <p className="dim wrap">Each lets you in once without the app. Keep them where you keep your passwords.</p>
        </Secret>
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button
            onClick={() => {
              void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
              close();
            }}
          >
            I have kept them
          </Button>
        </div>
      </div>
    );
  }
  if (begin.data)
    return (
      <form
        className="stack"
        style={{ gap: 14 }}
        onSubmit={(e) => {
          e.preventDefault();
          confirm.mutate();
        }}
      >
        <p style={{ margin: 0 }} className="wrap">
          Scan this with your authenticator app, then type the code it shows.
        </p>
        <img src={begin.data.qr} alt="The secret as a QR code; the same is written below" width={200} height={200} style={{ imageRendering: "pixelated", background: "#fff", borderRadius: 6, justifySelf: "center" }} />
        <div className="row" style={{ justifyContent: "center", gap: 8 }}>
          <code className="mono wrap">{begin.data.secret}</code>
          <CopyButton text={begin.data.secret}>Copy</CopyButton>
        </div>
        <TextInput label="Code" inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" maxLength={6} required withAsterisk={false} data-autofocus value={code} onChange={(e) => setCode(e.currentTarget.value)} />
        <Problem error={confirm.error} />
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={confirm.isPending} disabled={code.length !== 6}>
            Confirm
          </Button>
        </div>
      </form>
    );
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        begin.mutate();
      }}
    >
      <PasswordInput label="Your password" autoComplete="current-password" required withAsterisk={false} data-autofocus value={password} onChange={(e) => setPassword(e.currentTarget.value)} />
      <Problem error={begin.error} />
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={begin.isPending} disabled={!password}>
          Go on
        </Button>
      </div>
    </form>
  );
}

function Remove({ close }: { close: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => body(client.DELETE("/api/v1/session/totp", { body: { password, code: code.trim() } })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
      close();
    },
  });
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        remove.mutate();
      }}
    >
      <PasswordInput label="Your password" autoComplete="current-password" required withAsterisk={false} data-autofocus value={password} onChange={(e) => setPassword(e.currentTarget.value)} />
      <TextInput label="Code, or a recovery code" autoComplete="one-time-code" maxLength={64} required withAsterisk={false} value={code} onChange={(e) => setCode(e.currentTarget.value)} />
      <Problem error={remove.error} />
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" color="red.8" loading={remove.isPending} disabled={!password || code.length < 6}>
          Turn it off
        </Button>
      </div>
    </form>
  );
}

function Sessions() {
  const list = useQuery(sessionsQuery);
  const queries = useQueryClient();
  const say = useToast();
  const done = (text: string) => () => {
    say(text);
    void queries.invalidateQueries({ queryKey: ["sessions"] });
  };
  const end = useMutation({
    mutationFn: (id: string) => body(client.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } })),
    onSuccess: done("Session ended"),
    onError: (e) => say(`Not ended: ${e.message}`, { bad: true }),
  });
  const all = useMutation({
    mutationFn: () => body(client.DELETE("/api/v1/sessions")),
    onSuccess: () => location.assign("/signin"),
    onError: (e) => say(`Not signed out: ${e.message}`, { bad: true }),
  });
  return (
    <section className="panel">
      <header>
        <h2>Where you are signed in</h2>
        <span className="grow" />
        <Button size="compact-xs" variant="default" onClick={() => all.mutate()} loading={all.isPending}>
          Sign out everywhere
        </Button>
      </header>
      {list.isPending ? (
        <SkeletonRows rows={3} />
      ) : list.isError ? (
        <Failed what="Your sessions could not be read" error={list.error} retry={() => void list.refetch()} />
      ) : (
        <div className="tscroll" tabIndex={0} role="region" aria-label="Sessions">
          <table className="plain">
            <thead>
              <tr>
                <th>Browser</th>
                <th>Address</th>
                <th>Signed in</th>
                <th>Last seen</th>
                <th>
                  <span className="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.data.items.map((s) => (
                <tr key={s.id}>
                  <th scope="row" style={{ maxWidth: 240 }}>
                    <Txt value={s.user_agent || "unknown"} className="cut blk" />
                    <span className="dim">{s.current ? "this one" : METHODS[s.method]}</span>
                  </th>
                  <td className="mono">
                    <Txt value={s.address} />
                  </td>
                  <td>
                    <Time at={s.created_at} />
                  </td>
                  <td>
                    <Time at={s.seen_at} />
                  </td>
                  <td className="right">
                    {!s.current && (
                      <Button size="compact-xs" variant="subtle" color="gray" onClick={() => end.mutate(s.id)}>
                        End
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
