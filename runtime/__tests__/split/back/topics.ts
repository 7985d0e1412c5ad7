import { Topic } from "encore.dev/pubsub";

interface NoteAdded {
  text: string;
}

export const noteAdded = new Topic<NoteAdded>("note.added", {
  deliveryGuarantee: "at-least-once",
});
