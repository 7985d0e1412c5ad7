import { api } from "encore.dev/api";
import { back } from "~encore/clients";

interface Greeting {
  message: string;
}

interface Order {
  item: string;
  count: number;
  tags: string[];
}

interface Timing {
  /** Microseconds for each call, in each round. */
  us: number[];
  /** Of which the process was on a processor; the garbage collector's threads included. */
  cpuUs: number[];
}

export const hello = api(
  { expose: true, method: "GET", path: "/v1/hello/:name" },
  async ({ name }: { name: string }): Promise<Greeting> => ({ message: `Hello ${name}` }),
);

export const order = api(
  { expose: true, method: "POST", path: "/v1/orders" },
  async (request: Order): Promise<Order> => request,
);

const CALLS_IN_ROUND = 1000;

/** Mean time of a call to another service, in each of so many rounds of a thousand. */
export const calls = api(
  { expose: true, method: "POST", path: "/v1/calls" },
  async ({ rounds }: { rounds: number }): Promise<Timing> => {
    const us: number[] = [];
    const cpuUs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const started = performance.now();
      const before = process.cpuUsage();
      for (let count = 0; count < CALLS_IN_ROUND; count++) {
        await back.reserve({ item: "a", count: 1, tags: ["x", "y"] });
      }
      us.push(performance.now() - started);
      const { user, system } = process.cpuUsage(before);
      cpuUs.push((user + system) / CALLS_IN_ROUND);
    }
    return { us, cpuUs };
  },
);

const CHUNKS = 2;

/** An answer of unknown length, in chunks that leave one after the other. */
export const chunks = api.raw(
  { expose: true, method: "GET", path: "/raw/chunks" },
  async (_request, response) => {
    response.setHeader("content-type", "text/plain");
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      await new Promise<void>((done) => {
        response.write("a chunk of an answer\n", () => done());
      });
    }
    response.end();
  },
);
