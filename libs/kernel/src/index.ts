export { assertNever } from './assert-never.js';
export type { Clock, IdSource } from './clock.js';
export { derivedUuid } from './derived-uuid.js';
export { DynflowError, InvalidInputError, NotFoundError, UnavailableError, messageOf } from './errors.js';
export type { DynflowErrorOptions } from './errors.js';
export { isJsonObject } from './json.js';
export type { JsonObject, JsonValue } from './json.js';
export { isoTimeOf } from './iso-time.js';
