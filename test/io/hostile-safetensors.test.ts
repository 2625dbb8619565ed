import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';

function file(header: string, body = new Uint8Array()): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

const four = new Uint8Array(4);
const entry = (fields = '"dtype":"F32","shape":[1],"data_offsets":[0,4]') => `{"a":{${fields}}}`;
/** Processor time: a busy machine changes nothing. */
const milliseconds = (work: () => void) => {
  const start = process.cpuUsage().user;
  work();
  return (process.cpuUsage().user - start) / 1000;
};

describe('headers up to the cap of 100 MB', () => {
  test('a string past 2^23 characters, plain and with escapes', () => {
    const notes = { plain: 'a'.repeat(9_000_000), escaped: '\\"\n'.repeat(2_000_000) };
    expect(readSafetensors(writeSafetensors(new Map(), notes)).metadata).toEqual(notes);
  });

  test('300,000 tensors in linear time, in the order of the file', () => {
    const entries = Array.from(
      { length: 300_000 },
      (_, i) => `"${300_000 - i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
    );
    const bytes = file(`{${entries.join()}}`);
    let names: string[] = [];
    const taken = milliseconds(() => {
      names = [...readSafetensors(bytes).tensors.keys()];
    });
    expect([names.length, names[0], names[299_999]]).toEqual([300_000, '300000', '1']);
    expect(taken).toBeLessThan(15_000);
  });

  test('space, backslashes and quotes in linear time', () => {
    const spaces = file(`{${' '.repeat(50_000_000)}}`);
    const strings = file(
      entry(`"x":"${'\\\\'.repeat(2_000_000)}","dtype":"U8","shape":[4],"data_offsets":[0,4]`),
      four,
    );
    const many = file(
      `{"__metadata__":{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":"\\\\"`).join()}}}`,
    );
    for (const bytes of [spaces, strings, many])
      expect(milliseconds(() => readSafetensors(bytes))).toBeLessThan(5_000);
  });
});

describe('the order of names survives writing', () => {
  test('names that look like indices are no indices', () => {
    const data = new Float32Array(1);
    const names = ['b', '10', 'a', '2'];
    const bytes = writeSafetensors(
      new Map(names.map((name) => [name, { dtype: 'float32' as const, dims: [], data }])),
    );
    expect([...readSafetensors(bytes).tensors.keys()]).toEqual(['10', '2', 'a', 'b']);
  });
});

describe('what the format or its grammar refuses', () => {
  const cases: [string, string, RegExp][] = [
    ['a byte order mark', `\ufeff${entry()}`, /begins with \{/],
    ['space before the object', ` ${entry()}`, /begins with \{/],
    ['text after the object', `${entry()}x`, /nothing after its value; received "x"/],
    ['a NUL after the object', `${entry()}\0`, /nothing after its value/],
    [
      'a fraction of zero',
      entry('"dtype":"F32","shape":[1.0],"data_offsets":[0,4]'),
      /non-negative integers/,
    ],
    ['an exponent', entry('"dtype":"F32","shape":[1e0],"data_offsets":[0,4]'), /non-negative integers/],
    ['a negative zero', entry('"dtype":"F32","shape":[1,-0],"data_offsets":[0,4]'), /non-negative integers/],
    ['a leading zero', entry('"dtype":"F32","shape":[01],"data_offsets":[0,4]'), /must be JSON/],
    [
      'past 2^53',
      entry('"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]'),
      /non-negative integers/,
    ],
    [
      'an offset of a fraction',
      entry('"dtype":"F32","shape":[1],"data_offsets":[0,4.0]'),
      /two non-negative/,
    ],
    ['a lone surrogate', entry().replace('"a"', '"\\ud800"'), /lone surrogates/],
    ['a control character', entry().replace('"a"', '"a\nb"'), /control characters/],
    ['an unknown escape', entry().replace('"a"', '"\\x41"'), /must be JSON/],
    ['a comma too many', entry('"dtype":"F32","shape":[1,],"data_offsets":[0,4]'), /must be JSON/],
    ['no colon', '{"a"}', /must have ':'/],
    ['a word', entry('"x":nul,"dtype":"F32","shape":[1],"data_offsets":[0,4]'), /must have a value/],
    ['a number cut off', entry('"x":1.,"dtype":"F32","shape":[1],"data_offsets":[0,4]'), /must have a value/],
    ['a string cut off', '{"a', /a string that ends/],
    ['a string that ends in a backslash', '{"a\\"', /a string that ends/],
    ['metadata twice', '{"__metadata__":{},"__metadata__":{}}', /each key once; received "__metadata__"/],
    ['a metadata key twice', '{"__metadata__":{"k":"1","k":"2"}}', /each key once; received "k"/],
    [
      'a ninth key twice',
      `{"__metadata__":{${[...'abcdefgha'].map((k) => `"${k}":""`)}}}`,
      /each key once; received "a"/,
    ],
    [
      'a field twice, escaped',
      entry('"dtype":"F32","d\\u0074ype":"F32","shape":[1],"data_offsets":[0,4]'),
      /received "dtype"/,
    ],
    ['values 200,000 deep', entry(`"x":${'['.repeat(200_000)}${']'.repeat(200_000)}`), /at most 128 deep/],
  ];
  test.each(cases)('%s', (_, header, reason) => {
    const bytes = file(header, four);
    expect(() => readSafetensors(bytes)).toThrow(LloydError);
    expect(() => readSafetensors(bytes)).toThrow(reason);
  });

  test('fields that the format does not name are passed over', () => {
    const more = '"x":[{"y":[-1.5e+3,0,true,false,null,"\\u00e9\\ud83d\\ude00"]},[],{}],';
    const { tensors } = readSafetensors(
      file(entry(`${more}"dtype":"F32","shape":[ 1 ] ,"data_offsets":[0,\n4]`), four),
    );
    expect(tensors.get('a')?.dims).toEqual([1]);
  });
});

test('a message is short whatever the file holds', () => {
  const long = 'n'.repeat(1_000_000);
  const files = [
    file(`{"${long}":{"dtype":"F8","shape":[],"data_offsets":[0,0]}}`),
    file(entry(`"dtype":"${long}","shape":[1],"data_offsets":[0,4]`), four),
    file(entry(`"dtype":"F32","shape":[${Array(100_000).fill(2)}],"data_offsets":[0,4]`), four),
    file(
      `{"${long}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
      four,
    ),
  ];
  for (const bytes of files) {
    let message = '';
    try {
      readSafetensors(bytes);
    } catch (error) {
      message = (error as LloydError).message;
    }
    expect(message.length).toBeGreaterThan(10);
    expect(message.length).toBeLessThan(1000);
  }
});
