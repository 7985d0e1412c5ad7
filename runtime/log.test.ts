import { expect, it } from "vitest";

import { requestLine } from "./log";
import { Request } from "./http/request";

const trace = { traceId: "t", spanId: "s", parentSpanId: null, correlationId: 'a"b\\' };

it("writes the lines of requests with their keys in order", () => {
  const endpoint = { service: "front", name: "hello" } as never;
  const call = { endpoint, method: "GET", path: "/", pathAndQuery: "/", pathParams: {} };
  const requests = [
    new Request({ payload: null, trace, userId: "ada", call: { ...call, headers: () => ({}) } }),
    new Request({
      payload: null,
      trace: { ...trace, correlationId: null },
      message: {
        service: "front",
        topic: "moved",
        subscription: "s",
        id: "1",
        publishedAt: "",
        attempt: 1,
      },
    }),
  ];
  for (const request of requests) {
    const line = requestLine(request, "request completed", '"code":"ok","duration":0.5,');
    const fields = JSON.parse(line) as Record<string, unknown>;
    expect(Object.keys(fields)).toEqual(Object.keys(fields).sort());
    const { time, ...rest } = fields;
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(rest).toEqual({
      ...request.logFields(),
      code: "ok",
      duration: 0.5,
      level: "info",
      message: "request completed",
    });
    expect(line.endsWith("}\n")).toBe(true);
  }
});
