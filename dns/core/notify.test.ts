import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { readMessage } from "./message";
import { formatName } from "./names";
import { isNotifyAnswer, notifyMessage } from "./notify";
import { formatRdata, parseRdata } from "./rdata";

const zone = wireName("example.org");
const SOA = "ns1.example.org who.example.org 7 1 2 3 4";
const data = parseRdata(TYPE.SOA, SOA);
const soa = { type: TYPE.SOA, ttl: 60, rdatas: data.ok ? [data.value] : [] };

describe("a NOTIFY", () => {
  it("asks for the SOA and brings it along", () => {
    const message = readMessage(notifyMessage(0x1234, zone, soa))!;
    expect(message.header).toMatchObject({ id: 0x1234, flags: 0x2400, opcode: 4 });
    expect(message.questions).toEqual([{ name: zone, type: 6, class: 1 }]);
    const [answer] = message.answers;
    expect([formatName(answer!.name), formatRdata(6, answer!.data)]).toEqual(["example.org", SOA]);
  });

  it("knows its answer", () => {
    const octets = notifyMessage(7, zone, soa);
    expect(isNotifyAnswer(readMessage(octets)!, 7, zone)).toBe(false);
    octets[2]! |= 0x80;
    const message = readMessage(octets)!;
    expect(isNotifyAnswer(message, 7, zone)).toBe(true);
    expect(isNotifyAnswer(message, 8, zone)).toBe(false);
    expect(isNotifyAnswer(message, 7, wireName("example.net"))).toBe(false);
    expect(isNotifyAnswer({ ...message, questions: [] }, 7, zone)).toBe(true);
  });
});
