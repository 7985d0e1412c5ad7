import { api } from "encore.dev/api";
import { secret } from "encore.dev/config";
import { Subscription, Topic } from "encore.dev/pubsub";
import { SQLDatabase } from "encore.dev/storage/sqldb";

const db = new SQLDatabase("notes", { migrations: "./schema" });
const greeting = secret("Greeting");

interface NoteAdded {
  id: number;
}

export const added = new Topic<NoteAdded>("note.added", { deliveryGuarantee: "at-least-once" });

new Subscription(added, "notes-note-added", {
  handler: async ({ id }) => {
    await db.exec`update note set heard = heard + 1 where id = ${id}`;
  },
});

interface Note {
  text: string;
  heard: number;
}

interface NewNote {
  text: string;
}

export const add = api(
  { expose: true, method: "POST", path: "/notes" },
  async ({ text }: NewNote): Promise<void> => {
    const row = await db.queryRow<{ id: number }>`
      insert into note (text) values (${text}) returning id`;
    if (row) await added.publish({ id: row.id });
  },
);

export const list = api(
  { expose: true, method: "GET", path: "/notes" },
  async (): Promise<{ greeting: string; items: Note[] }> => ({
    greeting: greeting(),
    items: await db.queryAll<Note>`select text, heard from note order by id`,
  }),
);
