/** The most characters of a string that an error repeats, of a whole value, and how deep and far into one it looks. */
const STRING = 200;
const WHOLE = 1000;
const DEPTH = 4;
const ENTRIES = 8;

/** Controls (C0, C1), line separators, and what turns the direction of text: a terminal acts on them, a log is forged by them. */
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\p{Surrogate}]/gu;

/**
 * Text that a terminal shows and does not obey: control characters and those that turn the direction of text come as
 * JSON's escapes, lone surrogates too.
 *
 * @param lines leaves line feeds and tabs as they are, for text of several lines
 */
export function printable(text: string, { lines = false }: { lines?: boolean } = {}): string {
  return text.replace(CONTROLS, (character) =>
    lines && (character === '\n' || character === '\t')
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A value as an error repeats it: bounded in length, depth and count, whatever it is made of. Cycles are cut; getters
 * are not called, and proxies that throw are named as such.
 */
export function describe(value: unknown): string {
  return shortened(inner(value, [], { left: WHOLE }), WHOLE);
}

/** What is still to be spent on one value: a wide and deep one is otherwise 8^4 entries. */
interface Budget {
  left: number;
}

function inner(value: unknown, path: readonly object[], budget: Budget): string {
  let text: string;
  try {
    text = spell(value, path, budget);
  } catch {
    // A revoked proxy, or a trap that throws: even asking what it is fails.
    text = 'an object that cannot be inspected';
  }
  budget.left -= text.length;
  return text;
}

function spell(value: unknown, path: readonly object[], budget: Budget): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return shortened(bigText(value), STRING);
  if (typeof value === 'symbol') return printable(shortened(value.toString(), STRING));
  if (typeof value === 'function')
    return `function ${printable(shortened(nameOf(value) ?? '', STRING))}`.trim();
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : String(value);
  if (path.includes(value)) return '(itself)';
  if (ArrayBuffer.isView(value)) return view(value);
  const within = [...path, value];
  const deep = path.length >= DEPTH || budget.left <= 0;
  if (Array.isArray(value)) {
    if (deep && value.length > 0) return `[${value.length} entries]`;
    return `[${series(value.length, (i) => inner(own(value, String(i)), within, budget), budget)}]`;
  }
  if (value instanceof Error)
    return `${nameOf(value.constructor) ?? 'Error'}: ${quoted(String(own(value, 'message') ?? ''))}`;
  const kind = nameOf(Object.getPrototypeOf(value)?.constructor);
  if (value instanceof Map || value instanceof Set) {
    if (deep || value.size === 0) return `${kind}(${value.size})`;
    const entries = [...take(value, ENTRIES)];
    const list = series(value.size, (i) => inner(entries[i], within, budget), budget);
    return `${kind}(${value.size}) {${list}}`;
  }
  if (kind !== undefined && kind !== 'Object') return printable(shortened(kind, STRING));
  const keys = Object.keys(value);
  if (deep && keys.length > 0) return `{${keys.length} entries}`;
  return `{${series(keys.length, (i) => `${key(keys[i])}: ${inner(own(value, keys[i]), within, budget)}`, budget)}}`;
}

/** Entries one after another, as many as are shown, and dots where there are more. */
function series(count: number, entry: (index: number) => string, budget: Budget): string {
  const shown: string[] = [];
  for (let i = 0; i < Math.min(count, ENTRIES) && budget.left > 0; i++) shown.push(entry(i));
  if (shown.length < count) shown.push('...');
  return shown.join(', ');
}

/** An own property's value, without running a getter. */
function own(object: object, name: string): unknown {
  const property = Object.getOwnPropertyDescriptor(object, name);
  if (!property) return undefined;
  return 'value' in property ? property.value : GETTER;
}

const GETTER = Symbol('getter');

function* take<T>(values: Iterable<T>, most: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ === most) return;
    yield value;
  }
}

/** A DataView has no length, and a subclass may have no name: what is shown is what is certain. */
function view(value: ArrayBufferView): string {
  const kind = nameOf(Object.getPrototypeOf(value)?.constructor) ?? 'ArrayBufferView';
  const length = 'length' in value ? value.length : value.byteLength;
  return `${printable(shortened(kind, STRING))}(${length})`;
}

function nameOf(callee: unknown): string | undefined {
  const name = typeof callee === 'function' ? own(callee, 'name') : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

const key = (name: string) => (/^[\w$]+$/.test(name) ? shortened(name, STRING) : quoted(name));

/** A name as a rule shows it: in quotes, cut after 200 characters, printable. */
export function quoted(text: string): string {
  const cut = text.length > STRING ? text.slice(0, STRING) : text;
  const more = text.length > STRING ? `... (${text.length} characters)` : '';
  return `${printable(JSON.stringify(cut))}${more}`;
}

/** Digits of a huge bigint take quadratic time: past 64 words it is described by its size. */
function bigText(value: bigint): string {
  const small = BigInt.asIntN(4096, value) === value;
  return small ? String(value) : 'an integer of more than 4096 bits';
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}...` : text;
}
