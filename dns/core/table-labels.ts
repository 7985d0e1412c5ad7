import { MAX_LABEL_OCTETS } from "./names";
import type { Placed, Table } from "./table";
import { LABELS_OCTETS } from "./table-sizes";

/** Labels of a repl side by side, each behind its length: name, owner, id. */
export class Labels {
  readonly octets = new Uint8Array(LABELS_OCTETS);
  ownerAt = 0;
  idAt = 0;
  end = 0;

  read({ id, name, owner }: Placed): void {
    this.ownerAt = this.write(name, 0);
    this.idAt = this.ownerAt < 0 ? -1 : this.write(owner, this.ownerAt);
    this.end = this.idAt < 0 ? -1 : this.write(id, this.idAt);
    if (this.end < 0) {
      throw new Error(
        `Cannot place the repl "${id}": "${name}" of "${owner}" or its id is no label of 1 to ${MAX_LABEL_OCTETS} octets`,
      );
    }
  }

  /** Those of a record. */
  copy(from: Table, index: number): void {
    this.ownerAt = from.copyName(index, this.octets, 0);
    this.idAt = from.copyOwner(index, this.octets, this.ownerAt);
    this.end = from.copyId(index, this.octets, this.idAt);
  }

  /** Write a label; where it ends, or -1 when it is none. */
  write(text: string, at: number): number {
    // A star would stand for all names that there are not.
    if (text.length === 0 || text.length > MAX_LABEL_OCTETS || text === "*") return -1;
    this.octets[at] = text.length;
    for (let index = 0; index < text.length; index++) {
      const octet = text.charCodeAt(index);
      if (octet > 0xff) return -1;
      this.octets[at + 1 + index] = octet;
    }
    return at + 1 + text.length;
  }
}
