// Every example of a docstring runs, and says what its comments say it does.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { publicExports } from '../../docs/generate/surface.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import * as kernels from '../../src/kernels/index.ts';
import { sampled, useRuntime } from '../support/runtime.ts';
import { surroundings } from './surroundings.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'test/output/examples');
const gpu = useRuntime();
let around: ReturnType<typeof surroundings>;
beforeAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  around = surroundings(gpu.runtime);
});
afterEach(() => around.settle());
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The same export of two entries is one. */
const documented = publicExports(root).filter(
  (own, index, all) =>
    all.findIndex(({ file, declared }) => file === own.file && declared === own.declared) === index,
);
const values = documented.filter(({ isValue }) => isValue);

describe('what is exported', () => {
  test('has a sentence, and an example where it is a value', () => {
    expect(documented.filter(({ sentence }) => !sentence).map(({ name }) => name)).toEqual([]);
    expect(values.filter(({ examples }) => examples.length === 0).map(({ name }) => name)).toEqual([]);
    expect(values.length).toBeGreaterThan(70);
  });
});

/** An example as a module: its free names are parameters, and a value in a comment is compared. */
function moduleOf(example: string, names: readonly string[]): string {
  const lines = example.split('\n').map((line) => {
    const [, indent, code, comment] = /^(\s*)([^\s/)}].*?); \/\/ (.+)$/.exec(line) ?? [];
    const said = code && valueIn(comment);
    if (!said || /^(const|let|for|if|throw|return) /.test(code)) return line;
    const printed = /^console\.log\((.*)\)$/.exec(code);
    return `${indent}$said(${JSON.stringify(said)}, ${printed ? printed[1] : code});`;
  });
  return `export async function run({ ${['$said', ...names].join(', ')} }: any) {\n{\n${lines.join('\n')}\n}\n}\n`;
}

/** The value that a comment begins with, as `inspect` would write it but for spaces and quotes; null of words. */
function valueIn(comment: string): string | null {
  const [value] =
    /^(?:(?:\w*Array )?\[.*\]|\{.*\}|'[^']*'|-?[\d.]+(?:\.\.\.)?|true|false|\w+ \[.*\])(?=$|[;:])/.exec(
      comment,
    ) ?? [];
  return value ? normal(value) : null;
}

const normal = (text: string) =>
  text
    .replace(/\b\w*Array(\(\d+\))?/g, '')
    .replace(/0[bx][\da-f_]+/g, (number) => String(Number(number.replaceAll('_', ''))))
    .replace(/[\s'"]/g, '');

function said(expected: string, ...given: unknown[]): void {
  const options = { depth: 9, maxArrayLength: null, maxStringLength: null, breakLength: Infinity };
  const shown = normal(
    given.map((value) => (typeof value === 'string' ? value : inspect(value, options))).join(' '),
  );
  const pattern = expected.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\.\\.\\.', '\\d*');
  checked++;
  expect(shown).toMatch(new RegExp(`^${pattern}$`));
}
let checked = 0;

const kernelOf = new Map(Object.entries(kernels as unknown as Record<string, Kernel>));

const isKernel = ({ name }: { name: string }) => name.startsWith('kernels.');
const run = [
  ...values.filter((each) => !isKernel(each)),
  ...sampled('examples of kernels', values.filter(isKernel), 30),
];

describe('examples', () => {
  for (const { entry, name, examples } of run) {
    test.each(examples.map((code, index) => ({ code, index })))(
      `${entry} ${name} $index`,
      async ({ code, index }) => {
        const used = new Set(code.replace(/\/\/.*$/gm, '').match(/(?<![\w.$])[a-zA-Z_]\w*/g));
        const scope: Record<string, unknown> = { $said: said };
        const { device } = gpu.runtime;
        const kernel = kernelOf.get(name.replace(/^kernels\./, ''));
        const lacking = kernel?.declaration.requires?.filter(
          (feature) => !device.features.has(feature as never),
        );
        if (lacking?.length) {
          console.log(`${name}: its example does not run; this adapter lacks ${lacking.join(', ')}`);
          return;
        }
        const encoder = device.createCommandEncoder();
        const pass = used.has('pass') ? encoder.beginComputePass() : undefined;
        const own: Record<string, unknown> = { pass, encoder };
        for (const each of used) {
          if (each in globalThis && each !== 'fetch') continue;
          const isBound = kernel && new RegExp(`: ${each}\\b`).test(code);
          const value =
            own[each] ?? (await around.find(entry, name, each)) ?? (isBound ? around.buffer() : undefined);
          if (value !== undefined || each === 'logits') scope[each] = value;
        }
        const names = Object.keys(scope).filter((each) => each !== '$said');
        const file = join(folder, `${entry} ${name} ${index}.ts`.replaceAll(/[^\w.]/g, '_'));
        await writeFile(file, moduleOf(code, names));
        device.pushErrorScope('validation');
        try {
          const module = await import(/* @vite-ignore */ file);
          await module.run(scope);
          pass?.end();
          device.queue.submit([encoder.finish()]);
          await device.queue.onSubmittedWorkDone();
        } finally {
          const fault = await device.popErrorScope();
          expect(fault?.message).toBeUndefined();
        }
      },
    );
  }

  test('say what is so, where they say it', () => {
    console.log(`${checked} values of examples compared`);
    expect(checked).toBeGreaterThan(25);
  });
});
