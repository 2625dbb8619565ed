import { LloydError } from '../gpu/errors.ts';

/** As deep as the official reader of safetensors goes. */
const MAX_DEPTH = 128;
/** An object of fewer keys is looked through, so that a million tensors of three fields make no million sets. */
const FEW_KEYS = 8;

const LONE_SURROGATE = /\p{Surrogate}/u;
const LITERALS = ['true', 'false', 'null'];

/**
 * Reads a JSON text value by value, without making objects: keys keep the text's order, one that an object names twice
 * is refused, and integers are told from what only rounds to them. `JSON.parse` does none of the three. Time and stack
 * do not depend on how long a string is or how deep values lie.
 *
 * Source: RFC 8259; text of escapes that no UTF-8 can hold (lone surrogates) is refused.
 *
 * @example
 * const reader = new JsonReader('{"a":[1,2]}', 'a header');
 * reader.object((key) => reader.array(() => reader.integer())); // 'a', then 1 and 2
 * reader.end();
 */
export class JsonReader {
  private at = 0;
  private depth = 0;
  private readonly keys: string[][] = [];
  /** Where the next backslash is: most texts have none, and looking for it once a string would be quadratic. */
  private backslash = -1;

  /**
   * @param text the whole JSON text
   * @param what the rule's subject: 'a safetensors header'
   */
  constructor(
    private readonly text: string,
    private readonly what: string,
  ) {}

  /** The next value's first character: `{ [ " t f n`, a digit or a minus; '' at the end. */
  peek(): string {
    this.space();
    return this.text.charAt(this.at);
  }

  /**
   * Reads an object; `member` must read the value of the key it gets.
   *
   * @param kept where the caller keeps the members by key: looked into for keys named twice, instead of a set
   */
  object(member: (key: string) => void, kept?: { has(key: string): boolean }): void {
    // One list a depth, used again: a million small objects are read one after the other.
    this.keys[this.depth] ??= [];
    const few = this.keys[this.depth];
    few.length = 0;
    let many: Set<string> | undefined;
    if (this.opens('{', '}')) {
      do {
        const key = this.string();
        if (kept?.has(key) || (many ? many.has(key) : few.includes(key))) {
          throw new LloydError(`${this.what} must name each key once`, key);
        }
        if (many) many.add(key);
        else if (!kept && few.push(key) > FEW_KEYS) many = new Set(few);
        this.expect(':');
        member(key);
      } while (this.goesOn('}'));
    }
    this.depth--;
  }

  /** Reads an array; `item` must read one item. */
  array(item: () => void): void {
    if (this.opens('[', ']')) {
      do item();
      while (this.goesOn(']'));
    }
    this.depth--;
  }

  /** Reads an array of integers; an item that {@link integer} does not read is NaN. */
  integers(): number[] {
    const values: number[] = [];
    if (this.opens('[', ']')) {
      do {
        const value = this.integer();
        if (value === undefined) this.skip();
        values.push(value ?? Number.NaN);
      } while (this.goesOn(']'));
    }
    this.depth--;
    return values;
  }

  /** Reads a string. */
  string(): string {
    this.space();
    const { text } = this;
    const start = this.at;
    if (text.charCodeAt(start) !== 0x22) throw this.unexpected('a string');
    let end = text.indexOf('"', start + 1);
    if (this.backslash < start) this.backslash = indexOrEnd(text, '\\', start);
    const escaped = this.backslash < end;
    if (escaped) {
      while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
    }
    if (end < 0) throw this.unexpected('a string that ends', text.length);
    this.at = end + 1;
    const inner = text.slice(start + 1, end);
    if (hasControl(inner)) throw this.unexpected('a string without control characters', start);
    return escaped ? this.unescape(text.slice(start, end + 1), start) : inner;
  }

  /** Reads a non-negative integer below 2^53, written as digits; undefined, and nothing read, where it is no such. */
  integer(): number | undefined {
    this.space();
    const end = this.digits(this.at);
    if (end === this.at || /[.eE]/.test(this.text.charAt(end))) return undefined;
    if (end > this.at + 1 && this.text[this.at] === '0') throw this.unexpected('a number');
    const value = Number(this.text.slice(this.at, end));
    if (!Number.isSafeInteger(value)) return undefined;
    this.at = end;
    return value;
  }

  /** Reads a number; undefined, and nothing read, where the value is none. */
  finite(): number | undefined {
    if (!/[-\d]/.test(this.peek())) return undefined;
    const start = this.at;
    this.at = this.number();
    const value = Number(this.text.slice(start, this.at));
    if (Number.isFinite(value)) return value;
    this.at = start;
    return undefined;
  }

  /** Reads past a value of any kind. */
  skip(): void {
    const first = this.peek();
    if (first === '{') this.object(() => this.skip());
    else if (first === '[') this.array(() => this.skip());
    else if (first === '"') this.string();
    else {
      const literal = LITERALS.find((word) => this.text.startsWith(word, this.at));
      this.at = literal ? this.at + literal.length : this.number();
    }
  }

  /** Checks that nothing but space follows. */
  end(): void {
    if (this.peek() !== '') throw this.unexpected('nothing after its value');
  }

  /** Goes one level in, and says whether there is anything there. */
  private opens(open: string, close: string): boolean {
    this.expect(open);
    if (++this.depth > MAX_DEPTH) {
      throw new LloydError(`${this.what} must be nested at most ${MAX_DEPTH} deep`, `more at ${this.at}`);
    }
    if (this.peek() !== close) return true;
    this.at++;
    return false;
  }

  /** Reads the comma or the closing mark after an item. */
  private goesOn(close: string): boolean {
    const goesOn = this.peek() === ',';
    if (goesOn) this.at++;
    else this.expect(close);
    return goesOn;
  }

  private expect(character: string): void {
    if (this.peek() !== character) throw this.unexpected(`'${character}'`);
    this.at++;
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private digits(from: number): number {
    let at = from;
    for (let code = this.text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = this.text.charCodeAt(at))
      at++;
    return at;
  }

  /** Where the number that begins here ends. */
  private number(): number {
    const { text } = this;
    const sign = text[this.at] === '-' ? this.at + 1 : this.at;
    let end = this.digits(sign);
    let whole = end > sign && (text[sign] !== '0' || end === sign + 1);
    if (text[end] === '.') {
      const fraction = end + 1;
      end = this.digits(fraction);
      whole &&= end > fraction;
    }
    if (text[end] === 'e' || text[end] === 'E') {
      const exponent = end + (text[end + 1] === '+' || text[end + 1] === '-' ? 2 : 1);
      end = this.digits(exponent);
      whole &&= end > exponent;
    }
    if (!whole) throw this.unexpected('a value');
    return end;
  }

  private unescape(quotedText: string, start: number): string {
    let value: string;
    try {
      value = JSON.parse(quotedText) as string;
    } catch {
      throw this.unexpected('a string', start);
    }
    if (LONE_SURROGATE.test(value)) throw this.unexpected('a string without lone surrogates', start);
    return value;
  }

  private unexpected(wanted: string, at = this.at): LloydError {
    const found = this.text.slice(at, at + 12);
    return new LloydError(
      `${this.what} must be JSON: at character ${at} it must have ${wanted}`,
      found === '' ? 'its end' : found,
    );
  }
}

function indexOrEnd(text: string, part: string, from: number): number {
  const at = text.indexOf(part, from);
  return at < 0 ? text.length : at;
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 0x20) return true;
  return false;
}

/** Whether an odd number of backslashes stands before the character. */
function isEscaped(text: string, at: number): boolean {
  let before = at;
  while (text.charCodeAt(before - 1) === 0x5c) before--;
  return (at - before) % 2 === 1;
}
