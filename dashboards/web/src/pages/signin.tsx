import "@mantine/core/styles/PasswordInput.layer.css";
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { body, client, setCSRF } from "../api/client";
import { asApiError } from "../api/problem";
import { providersQuery, sessionQuery } from "../api/queries";
import type { Session } from "../api/types";
import { IconAlertCircle, IconLock } from "../ui/icons";
import { useTitle } from "../ui/title";

const route = getRouteApi("/signin");

export default function SignIn() {
  const { next } = route.useSearch();
  const router = useRouter();
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const pass = useRef<HTMLInputElement>(null);
  useTitle("Sign in");

  const [code, setCode] = useState("");
  const [asked, setAsked] = useState(false); // for the second factor
  const ways = useQuery(providersQuery);
  const enter = (session: Session) => {
    queries.clear();
    setCSRF(session.csrf);
    queries.setQueryData(sessionQuery.queryKey, session);
    router.history.push(session.must_change_password ? "/account" : (next ?? "/"));
  };
  const signin = useMutation({
    mutationFn: () => body(client.POST("/api/v1/session", { body: { email: email.trim(), password, ...(asked ? { code: code.trim() } : {}) } })),
    onSuccess: enter,
    onError: (e) => {
      if (asApiError(e).kind === "totp-required") {
        setAsked(true);
        return;
      }
      setCode("");
      if (!asked) {
        setPassword("");
        pass.current?.focus();
      }
    },
  });
  const error = signin.error ? asApiError(signin.error) : undefined;
  const said =
    error?.kind === "totp-required"
      ? ""
      : error?.status === 401
        ? asked
          ? "This code is not right, or was used before. Wait for the next one."
          : "This e-mail and password do not match."
        : error?.status === 429
          ? `Too many attempts. Wait ${error.retryAfter ?? "some"} seconds, then try again.`
          : error
            ? `${error.title}. ${error.detail}`
            : "";
  const away = ways.data?.providers ?? [];
  const own = ways.data?.password ?? true;

  return (
    <main className="signin">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          signin.mutate();
        }}
      >
        <img src="/favicon.svg" alt="" width={40} height={40} />
        <h1>Sign in to tenantwatch</h1>
        {next && <p className="dim">You will be taken back to the page you asked for.</p>}
        {away.map((p) => (
          <Button key={p.id} component="a" href={`${p.url}${next ? `${p.url.includes("?") ? "&" : "?"}return_to=${encodeURIComponent(next)}` : ""}`} size="md" variant="default" fullWidth leftSection={<IconLock size={16} aria-hidden />}>
            {p.name}
          </Button>
        ))}
        {away.length > 0 && own && !asked && <p className="dim">or with a password</p>}
        {own && !asked && (
        <TextInput label="E-mail" type="email" name="email" autoComplete="username" required withAsterisk={false} autoFocus={away.length === 0} size="md" value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
        )}
        {own && !asked && (
        <PasswordInput
          ref={pass}
          label="Password"
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          size="md"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
        />
        )}
        {asked && (
          <TextInput
            label="Code of your authenticator app"
            description="Six digits, or one of your recovery codes."
            name="code"
            autoComplete="one-time-code"
            inputMode="text"
            required
            withAsterisk={false}
            autoFocus
            size="md"
            maxLength={64}
            value={code}
            onChange={(e) => setCode(e.currentTarget.value)}
          />
        )}
        <div role="alert" className="signin-error">
          {said && (
            <>
              <IconAlertCircle size={16} aria-hidden /> <span>{said}</span>
            </>
          )}
        </div>
        {own && (
          <Button type="submit" size="md" fullWidth loading={signin.isPending}>
            {asked ? "Confirm" : "Sign in"}
          </Button>
        )}
        {asked && (
          <Button
            variant="subtle"
            color="gray"
            fullWidth
            onClick={() => {
              setAsked(false);
              setPassword("");
              setCode("");
              signin.reset();
            }}
          >
            Sign in as somebody else
          </Button>
        )}
      </form>
    </main>
  );
}
