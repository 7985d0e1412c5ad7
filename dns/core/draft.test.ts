import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { Draft, type Row } from "./draft";
import { formatName } from "./names";

const origin = wireName("example.org");
const www = wireName("www.example.org");
const row = (type: number, ...values: string[]): Row => {
  return { name: "www.example.org", type, ttl: 60, values };
};

describe("a draft", () => {
  it("knows what differs, removals too, and not the order of records", () => {
    const draft = new Draft(origin, [row(TYPE.A, "192.0.2.1", "192.0.2.2"), row(TYPE.TXT, '"a"')]);
    draft.set(www, TYPE.A, { ttl: 60, values: ["192.0.2.2", "192.0.2.1"] });
    expect(draft.changes()).toEqual([]);
    expect(draft.changedNames()).toEqual([]);
    draft.set(www, TYPE.A, { ttl: 61, values: ["192.0.2.2", "192.0.2.1"] });
    draft.set(www, TYPE.TXT, undefined);
    draft.set(wireName("gone.example.org"), TYPE.A, undefined);
    expect(draft.changes()).toEqual([
      { name: "www.example.org", type: TYPE.A, ttl: 61, values: ["192.0.2.2", "192.0.2.1"] },
      { name: "www.example.org", type: TYPE.TXT, ttl: 0, values: [] },
    ]);
    expect(draft.types(www)).toEqual([TYPE.A]);
  });

  it("knows where its NS, MX and SRV records lead within the zone", () => {
    const draft = new Draft(origin, [
      row(TYPE.MX, "10 Mail.example.org", "20 mail.example.net", "0 ."),
      row(TYPE.SRV, "0 0 5060 sip.example.org"),
      row(TYPE.CNAME, "other.example.org"),
    ]);
    const targets = [...draft.pointers()].map(({ target }) => formatName(target));
    expect(targets).toEqual(["mail.example.org", "sip.example.org"]);
  });
});
