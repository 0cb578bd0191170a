import "@mantine/core/styles/PasswordInput.layer.css";
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { body, client, setCSRF } from "../api/client";
import { asApiError } from "../api/problem";
import { sessionQuery } from "../api/queries";
import { IconAlertCircle } from "../ui/icons";
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

  const signin = useMutation({
    mutationFn: () => body(client.POST("/api/v1/session", { body: { email: email.trim(), password } })),
    onSuccess: (session) => {
      queries.clear();
      setCSRF(session.csrf);
      queries.setQueryData(sessionQuery.queryKey, session);
      router.history.push(next ?? "/");
    },
    onError: () => {
      setPassword("");
      pass.current?.focus();
    },
  });
  const error = signin.error ? asApiError(signin.error) : undefined;
  const said =
    error?.status === 401
      ? "This e-mail and password do not match."
      : error?.status === 429
        ? `Too many attempts. Wait ${error.retryAfter ?? "some"} seconds, then try again.`
        : error
          ? `${error.title}. ${error.detail}`
          : "";

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
        <TextInput label="E-mail" type="email" name="email" autoComplete="username" required withAsterisk={false} autoFocus size="md" value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
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
        <div role="alert" className="signin-error">
          {said && (
            <>
              <IconAlertCircle size={16} aria-hidden /> <span>{said}</span>
            </>
          )}
        </div>
        <Button type="submit" size="md" fullWidth loading={signin.isPending}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
