/* What is shown when there is no page: on the way, broken, or none. */
import { Button } from "@mantine/core";
import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { IconSearch } from "../ui/icons";
import { Empty, Failed, SkeletonRows } from "../ui/states";

export const RoutePending = () => <SkeletonRows />;

export function RouteFailed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <main>
      <Failed
        what="This page could not be opened"
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </main>
  );
}

export const RouteMissing = () => (
  <main>
    <Empty page icon={IconSearch} title="There is no such page">
      <p>The address may be mistyped, or the page has moved.</p>
      <Button variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
        To the overview
      </Button>
    </Empty>
  </main>
);
