export type Answers = Readonly<Record<string, unknown>>;

/** What the real Encore answered. */
export function readGolden(): Answers;

export function replay(base: string, golden?: Answers | null): Promise<Answers>;
