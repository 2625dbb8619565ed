// What errors repeat of what they received: bounded, without side effects, and harmless to a terminal.
import { describe, expect, test } from 'vitest';
import { describe as spell } from '../../src/gpu/describe.ts';
import { LloydError } from '../../src/gpu/errors.ts';

const said = (value: unknown) => new LloydError('the rule', value, 'the cure').message;

describe('an error repeats what it received', () => {
  test.each([
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [12n, '12'],
    [null, 'null'],
    [true, 'true'],
    ['a "name"', '"a \\"name\\""'],
    [[1, 'two', [3, [4]]], '[1, "two", [3, [4]]]'],
    [[], '[]'],
    [{}, '{}'],
    [{ dims: [2, 3], 'a b': null }, '{dims: [2, 3], "a b": null}'],
    [new Map<unknown, unknown>([['w', [1]]]), 'Map(1) {["w", [1]]}'],
    [new Set([1, 2]), 'Set(2) {1, 2}'],
    [new Float32Array(3), 'Float32Array(3)'],
    [new DataView(new ArrayBuffer(5)), 'DataView(5)'],
    [new Date(0), 'Date'],
    [Object.create(null), '{}'],
    [new Error('why'), 'Error: "why"'],
    [Array.from({ length: 20 }, (_, i) => i), '[0, 1, 2, 3, 4, 5, 6, 7, ...]'],
    [Symbol('s'), 'Symbol(s)'],
    [function made() {}, 'function made'],
  ])('%#', (value, text) => {
    expect(spell(value)).toBe(text);
    expect(said(value)).toBe(`the rule; received ${text}; the cure`);
  });

  test('nothing where nothing was received', () => {
    expect(new LloydError('the rule').message).toBe('the rule');
  });
});

describe('within bounds', () => {
  const list: unknown[] = [1];
  list.push(list);
  const map = new Map<string, unknown>();
  map.set('self', { map });
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  let wide: unknown = 1;
  for (let i = 0; i < 30; i++) wide = Array(8).fill(wide);
  const keys: Record<string, unknown> = {};
  for (let i = 0; i < 1000; i++) keys[`key ${i}`] = 'x'.repeat(500);
  const refusing = new Proxy(
    {},
    {
      getPrototypeOf() {
        throw new Error('no');
      },
      ownKeys() {
        throw new Error('no');
      },
    },
  );
  const revoked = Proxy.revocable([], {});
  revoked.revoke();
  const nameless = Object.defineProperty(() => {}, 'name', {
    get() {
      throw new Error('no');
    },
  });
  const values: [string, unknown][] = [
    ['a list in itself', list],
    ['a map in itself', map],
    ['100,000 lists deep', deep],
    ['8^30 entries', wide],
    ['1000 long keys', keys],
    ['a long string', 'y'.repeat(1e7)],
    ['a long key', { ['k'.repeat(1e6)]: 1 }],
    ['a proxy that throws', refusing],
    ['a revoked proxy', revoked.proxy],
    ['a class whose name throws', Object.create({ constructor: nameless })],
    ['an integer of a million bits', 1n << 1_000_000n],
    ['a sparse array of 2^32 - 1', Object.assign([], { length: 2 ** 32 - 1 })],
    ['an error with a long message', new Error('z'.repeat(1e6))],
  ];
  test.each(values)('%s', (_, value) => {
    const started = performance.now();
    const message = said(value);
    expect(message.length).toBeLessThan(2500);
    expect(performance.now() - started).toBeLessThan(500);
    expect(message).toMatch(/^the rule; received .*; the cure$/s);
  });

  test('no getter is called', () => {
    let calls = 0;
    const value = {
      get size() {
        calls++;
        throw new Error('no');
      },
    };
    expect(spell(value)).toBe('{size: Symbol(getter)}');
    expect(spell([value])).toContain('getter');
    expect(calls).toBe(0);
  });
});

describe('a terminal obeys nothing of a message', () => {
  // Escape, C1's control sequence introducer, carriage return, bell, right-to-left override, line separator.
  const name = 'w\u001b[2J\u009b31m\r\u0007\u202e\u2028\ud800';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\ud800-\udfff]/;

  test('as received, and in the rule and the cure', () => {
    for (const received of [name, [name], { [name]: name }, new Map([[name, 1]]), Symbol(name)]) {
      expect(said(received)).not.toMatch(obeyed);
    }
    expect(new LloydError(`${name} must be whole`, 1, `look at ${name}`).message).not.toMatch(obeyed);
    expect(said(name)).toContain('\\u001b[2J\\u009b31m');
  });

  test('lines stay where a message has them', () => {
    expect(new LloydError('a shader must compile:\n\tfn main').message).toContain('\n\tfn main');
  });
});
