import { type Budget, NO_BUDGET, type Shape } from "./world";

function shape(clusters: number, moves: number, hasFiles: boolean, budget: Partial<Budget>): Shape {
  return { clusters, moves, hasFiles, budget: { ...NO_BUDGET, ...budget } };
}

/** Small enough for every test run: each is explored to its end. */
export const SMALL: Readonly<Record<string, Shape>> = {
  "one move of an app with files": shape(3, 1, true, {
    ghosts: 1,
    crashes: 1,
    failures: 1,
    requests: 1,
    aborts: 1,
  }),
  "one move of a stateless app": shape(3, 1, false, {
    ghosts: 1,
    crashes: 1,
    requests: 1,
    aborts: 1,
  }),
  "one move, and deploys": shape(2, 1, false, { ghosts: 1, crashes: 1, aborts: 1, deploys: 2 }),
};

/** Where a mutant shows itself first. */
export const MUTANT_SHAPE = shape(3, 2, true, { ghosts: 1, aborts: 1 });
export const REQUEST_SHAPE = shape(3, 1, true, { requests: 1 });
export const DEPLOY_SHAPE = shape(3, 2, false, { ghosts: 1, aborts: 1, deploys: 1 });

/** Two moves: there and back, or on; millions of states, of which the nearest are looked at. */
export const LARGE: Readonly<Record<string, Shape>> = {
  "two moves among three clusters": shape(3, 2, true, { ghosts: 1, aborts: 1, requests: 1 }),
  "two moves of a stateless app": shape(3, 2, false, { ghosts: 1, aborts: 1, requests: 1 }),
  "two moves among four clusters": shape(4, 2, true, {
    ghosts: 1,
    crashes: 1,
    aborts: 1,
    requests: 1,
  }),
  "two moves, and deploys": shape(3, 2, true, { ghosts: 1, aborts: 1, deploys: 1, requests: 1 }),
  "three moves": shape(3, 3, true, { ghosts: 1, aborts: 1 }),
  "one move, and all that can befall it": shape(3, 1, true, {
    ghosts: 2,
    crashes: 2,
    failures: 2,
    requests: 2,
    aborts: 1,
    naps: 1,
  }),
};
