/**
 * Every limit of the data plane, with its unit in the name.
 * A number here is answered by a status code in `errors.ts`; nothing is unlimited by default.
 */
export const LIMITS = {
  /** A longer target is answered 414. Browsers stop at 2–80 KiB; nginx refuses above 8 KiB. */
  targetBytes: 16_384,
  /** A longer head is answered 431: big cookies fit, a flood does not. */
  headBytes: 32_768,
  /** More fields are answered 431. */
  headFields: 128,
  /** A longer field name is answered 431. */
  fieldNameBytes: 256,
  /** A longer response head is answered 502; apps set more cookies than visitors send. */
  responseHeadBytes: 65_536,
  /** Longest method that is a method: registered ones have at most 17 letters. */
  methodBytes: 32,
  /** Chunk extensions are noise that only attacks use: enough for signatures, not for more. */
  chunkExtensionBytes: 256,
  chunkExtensionsBytes: 4_096,
  trailerBytes: 8_192,
  trailerFields: 32,
  /** Interim responses per request: early hints come once or twice. */
  interimResponses: 16,
  /** What is read of a visitor ahead of the request that is being answered. */
  lookAheadBytes: 32_768,
  /** Read and write buffers of a socket: one read of the kernel fits. */
  highWaterMarkBytes: 65_536,
  /** Largest body that is copied behind its head so that both leave in one write. */
  coalesceBytes: 16_384,
  /** How much of an unwanted body is read so that the visitor gets to see the answer. */
  lingerBytes: 262_144,
  lingerMs: 2_000,
  /** From the first byte of a head to its last. */
  headMs: 10_000,
  /** A request body that stays silent. */
  bodyMs: 30_000,
  /** A visitor that takes nothing of its response. */
  stalledWriteMs: 60_000,
  /** Between requests. Load balancers and browsers use 60–75 s. */
  idleMs: 75_000,
  connectMs: 2_000,
  peerConnectMs: 5_000,
  responseHeadMs: 120_000,
  tunnelIdleMs: 3_600_000,
  /** Node and uvicorn close idle connections at 5 s: below it, the race is rare. */
  upstreamIdleMs: 4_000,
  peerIdleMs: 60_000,
  upstreamIdleSockets: 64,
  peerIdleSockets: 512,
  /** Sockets to one upstream; requests above it wait in the hold queue. */
  upstreamSockets: 512,
  /** After a 1012, for the visitor's own close. */
  closeMs: 2_000,
  /** How long a cut waits for the end of a frame or an event. */
  cutMs: 1_500,
  holdMs: 10_000,
  wakeMs: 30_000,
  /** What one request that waits can have at most: its head, and what was read behind it. */
  heldBytesPerRequest: 131_072,
  /** A hundred requests a second for as long as a hold may take. */
  heldPerRepl: 1_000,
  /** Their heads and a read of each: a thousand uploads at once are a few of these. */
  heldBytesPerRepl: 16_777_216,
  /** Of one proxy: an evacuation freezes several at once, and none may take the place of the others. */
  heldPerCluster: 4_096,
  heldBytesPerCluster: 67_108_864,
  /** Released at once; then as many again each `releaseMs`. A cold app is not met by hundreds. */
  releaseBatch: 16,
  releaseMs: 5,
  /** Look-ups of unknown hosts that may be on their way to the authority. */
  lookups: 64,
  lookupCacheMs: 1_000,
  lookupCacheEntries: 4_096,
  hostCacheEntries: 8_192,
  /** Forwards between clusters that one request may see. */
  hops: 3,
  /** Clock difference between clusters that a hop may show; also how long it can be replayed. */
  hopSkewMs: 30_000,
  connections: 20_000,
} as const;
