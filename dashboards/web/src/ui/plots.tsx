/* The plots, fetched beside the page and not before it: their data takes as long. */
import { Skeleton } from "@mantine/core";
import { lazy, Suspense, type ComponentProps } from "react";

const LazyBand = lazy(() => import("./bandplot"));
const LazyHistogram = lazy(() => import("./histogram"));

export const BandPlot = (p: ComponentProps<typeof LazyBand>) => (
  <Suspense fallback={<Skeleton h={250} />}>
    <LazyBand {...p} />
  </Suspense>
);

export const Histogram = (p: ComponentProps<typeof LazyHistogram>) => (
  <Suspense fallback={<Skeleton h={104} />}>
    <LazyHistogram {...p} />
  </Suspense>
);
