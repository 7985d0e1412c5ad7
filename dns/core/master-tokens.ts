/**
 * The tokens of a zone file (RFC 1035 section 5.1): entries end with their line unless parentheses
 * hold them open, `;` begins a comment, a string in quotes is one token.
 */

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface MasterFault extends Position {
  readonly reason: string;
}

export interface MasterToken extends Position {
  /** As written, escapes and all, without the quotes. */
  readonly text: string;
  readonly isQuoted: boolean;
  /** No white space before it: `alpn="h2"` is two tokens of one value. */
  readonly isGlued: boolean;
}

/** What stands on one line, or on several within parentheses. */
export interface Entry {
  readonly tokens: readonly MasterToken[];
  /** White space came first: the owner is that of the entry before. */
  readonly isIndented: boolean;
}

/** Reads entries one by one; the first fault ends them. */
export class MasterReader {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;
  #depth = 0;
  #opened: Position = { line: 1, column: 1 };

  constructor(text: string) {
    this.#text = text;
  }

  /** The next entry that is not empty; undefined at the end. */
  next(): Entry | MasterFault | undefined {
    while (this.#at < this.#text.length) {
      const entry = this.#entry();
      if ("reason" in entry || entry.tokens.length > 0) return entry;
    }
    return undefined;
  }

  #entry(): Entry | MasterFault {
    const tokens: MasterToken[] = [];
    let end = -1;
    const isIndented = /[ \t]/.test(this.#text[this.#at]!);
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]!;
      if (character === "\n") {
        this.#newLine();
        if (this.#depth === 0) break;
      } else if (character === "(" || character === ")") {
        const fault = this.#parenthesis(character);
        if (fault) return fault;
      } else if (character === ";") {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      } else if (/[ \t\r]/.test(character)) {
        this.#at++;
      } else {
        const isGlued = this.#at === end;
        const token = character === '"' ? this.#quoted() : this.#word();
        if ("reason" in token) return token;
        tokens.push({ ...token, isGlued });
        end = this.#at;
      }
    }
    const isOpen = this.#at >= this.#text.length && this.#depth > 0;
    return isOpen
      ? { ...this.#opened, reason: "a parenthesis without its end" }
      : { tokens, isIndented };
  }

  #newLine(): void {
    this.#at++;
    this.#line++;
    this.#lineStart = this.#at;
  }

  #parenthesis(character: "(" | ")"): MasterFault | undefined {
    const position = this.#position();
    if (character === ")" && this.#depth === 0) {
      return { ...position, reason: '")" without "("' };
    }
    if (character === "(") this.#opened = position;
    this.#depth += character === "(" ? 1 : -1;
    this.#at++;
    return undefined;
  }

  #word(): Omit<MasterToken, "isGlued"> | MasterFault {
    const position = this.#position();
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\s"();]/.test(this.#text[this.#at]!)) {
      if (!this.#step()) return { ...position, reason: "a lone backslash at the end of the line" };
    }
    return { ...position, text: this.#text.slice(start, this.#at), isQuoted: false };
  }

  #quoted(): Omit<MasterToken, "isGlued"> | MasterFault {
    const position = this.#position();
    const start = ++this.#at;
    while (this.#text[this.#at] !== '"') {
      const isOver = this.#at >= this.#text.length || this.#text[this.#at] === "\n";
      if (isOver || !this.#step()) return { ...position, reason: "a quote without its end" };
    }
    return { ...position, text: this.#text.slice(start, this.#at++), isQuoted: true };
  }

  /** Over one character, or over a backslash and what it escapes. False when that is missing. */
  #step(): boolean {
    const isEscape = this.#text[this.#at] === "\\";
    this.#at += isEscape ? 2 : 1;
    return !isEscape || (this.#at <= this.#text.length && this.#text[this.#at - 1] !== "\n");
  }

  #position(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}
