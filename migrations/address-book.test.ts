import { beforeEach, expect, it } from "vitest";

import { createAddressBook } from "./address-book";

let asked: string[];
let answer: () => string;
let now: number;
let book: ReturnType<typeof createAddressBook>;

beforeEach(() => {
  asked = [];
  now = 100_000;
  answer = () => "http://one";
  book = createAddressBook({
    find: async (clusterId) => {
      asked.push(clusterId);
      return { clusterId, apiUrl: answer(), publicKey: null };
    },
    isGone: (error) => (error as Error).message === "gone",
    now: () => now,
  });
});

it("asks once for a while, and then again", async () => {
  await Promise.all([book("east"), book("east")]);
  await book("east");
  await book("west");
  expect(asked).toEqual(["east", "west"]);
  now += 2_000;
  answer = () => "http://two";
  await expect(book("east")).resolves.toMatchObject({ apiUrl: "http://two" });
});

it("keeps the last answer while the registry is away, and has none at first", async () => {
  await book("east");
  now += 60_000;
  answer = () => {
    throw new Error("away");
  };
  await expect(book("east")).resolves.toMatchObject({ apiUrl: "http://one" });
  await expect(book("west")).rejects.toThrow("away");
});

it("does not keep a cluster that was removed", async () => {
  await book("east");
  now += 60_000;
  answer = () => {
    throw new Error("gone");
  };
  await expect(book("east")).rejects.toThrow("gone");
});
