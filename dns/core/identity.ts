/** What a server says of itself: names of class CH (RFC 4892), and NSID (RFC 5001). */
import type { Answer } from "./answer";
import { RCODE, TYPE } from "./codes";
import { type Name, parseName } from "./names";
import type { Question } from "./wire";

/** A version would only tell which of our faults to try. */
const SOFTWARE = "Stele";

/** NSID and TXT are one string of this length at most. */
export const MAX_IDENTITY_OCTETS = 255;

const named = (text: string): Name => {
  const name = parseName(text);
  return name.ok ? name.value : "";
};
const SOFTWARE_NAMES = [named("version.bind"), named("version.server")];
const SERVER_NAMES = [named("id.server"), named("hostname.bind")];

export function identityOctets(identity: string): Uint8Array {
  return Uint8Array.from(identity, (letter) => letter.charCodeAt(0));
}

/** The answer to a question of class CH; undefined for what is not said. */
export function answerIdentity({ name, type }: Question, identity: string): Answer | undefined {
  if (type !== TYPE.TXT && type !== TYPE.ANY) return undefined;
  const text = textOf(name, identity);
  if (text === "") return undefined;
  const rdatas = [Uint8Array.of(text.length, ...identityOctets(text))];
  return {
    rcode: RCODE.NOERROR,
    isAuthoritative: true,
    answers: [{ owner: name, rrset: { type: TYPE.TXT, ttl: 0, rdatas } }],
    authorities: [],
    additionals: [],
    glue: 0,
    countedAs: name,
  };
}

function textOf(name: Name, identity: string): string {
  if (SOFTWARE_NAMES.includes(name)) return SOFTWARE;
  return SERVER_NAMES.includes(name) ? identity : "";
}
