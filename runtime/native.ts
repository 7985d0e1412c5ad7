/**
 * The module that `ENCORE_RUNTIME_LIB` names: what `encore.dev` loads where Encore has its native
 * library. Its exports are the ones that `napi.cjs` in that package asks for.
 */
export { ApiCallError, ApiCallError as APICallError } from "./calls";
export {
  SQLConn,
  SQLConn as SqlConn,
  SQLDatabase,
  SQLDatabase as SqlDatabase,
  Transaction,
} from "./sql/databases";
export { Cursor, QueryArgs, Row } from "./sql/statements";
export { Decimal } from "./decimal";
export { Logger } from "./log";
export { LogLevel } from "./log-line";
export { MetricsRegistry } from "./metrics";
export { control, Runtime } from "./native-runtime";
export { BodyReader, ResponseWriter } from "./http/raw";
export { Request } from "./http/request";
export { Sink, Socket, Stream, WebSocketClient } from "./streams/handles";

export const CloudProvider = { AWS: 0, GCP: 1, Azure: 2, Encore: 3, Local: 4 } as const;
export const EnvironmentType = { Production: 0, Development: 1, Ephemeral: 2, Test: 3 } as const;
export const MetricType = { Counter: "Counter", Gauge: "Gauge" } as const;
export const ObjectErrorKind = {
  NotFound: 0,
  PreconditionFailed: 1,
  InvalidArgument: 2,
  Other: 3,
  Internal: 4,
} as const;

// The SDK tells these apart with instanceof, so they must exist; this runtime makes none of them.
export class Bucket {}
export class BucketObject {}
export class CacheCluster {}
export class Gateway {}
export class ListEntry {}
export class ListIterator {}
export class ObjectAttrs {}
export class PubSubSubscription {}
export class PubSubTopic {}
export class Secret {}
export class TypedObjectError {}
