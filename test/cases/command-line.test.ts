// Reported situations of command lines: nothing that was there may be lost.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vgg, writeModelFile } from 'lloyd';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildCli } from '../support/built.ts';
import { dataParallel } from './pth-files.ts';

let cli: Awaited<ReturnType<typeof buildCli>>;
let folder = '';
beforeAll(async () => {
  cli = await buildCli();
});
afterAll(() => cli?.remove());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lloyd-case-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(...argv: string[]) {
  const result = spawnSync(process.execPath, [cli.entry, ...argv], {
    encoding: 'utf8',
    cwd: folder,
    timeout: 110_000,
  });
  return { code: result.status, said: result.stderr.trim() };
}

const bytes = (() => {
  const network = vgg({ widthDivisor: 32 });
  for (const { data } of network.parameters.values()) {
    for (let i = 0; i < data.length; i++) (data as Float32Array)[i] = Math.sin(i + 1) * 0.1 + 0.2;
  }
  return writeModelFile(network);
})();
const put = (name: string) => writeFileSync(join(folder, name), bytes);
const isIntact = (name: string) => Buffer.compare(readFileSync(join(folder, name)), Buffer.from(bytes)) === 0;

// facebook/zstd#1422: -o naming the input must not destroy it.
test('-o that names the input, however it is spelled', () => {
  put('w.safetensors');
  for (const out of ['w.safetensors', './x/../w.safetensors', join(folder, 'w.safetensors')]) {
    expect([out, run('quantize', 'w.safetensors', '-o', out, '--bits', '2').code]).toEqual([out, 1]);
  }
  symlinkSync('w.safetensors', join(folder, 'link'));
  run('quantize', 'w.safetensors', '-o', 'link', '--bits', '2');
  expect(isIntact('w.safetensors')).toBe(true);
});

// aboutcode-org/scancode-toolkit#1266: --json naming the input or the output overwrote it with a report.
test('--json that names the input, or the output', () => {
  put('w.safetensors');
  put('v.safetensors');
  run('quantize', 'w.safetensors', '-o', 'q.safetensors', '--bits', '2', '--json', 'w.safetensors');
  expect(isIntact('w.safetensors')).toBe(true);
  const { code } = run(
    'quantize',
    'v.safetensors',
    '-o',
    'r.safetensors',
    '--bits',
    '2',
    '--json',
    'r.safetensors',
  );
  const becameJson = code === 0 && readFileSync(join(folder, 'r.safetensors'))[0] === 0x7b;
  expect(becameJson).toBe(false);
});

// lukeed/mri#9: a value such as 007 or 1e3 is turned into a number on the way.
test.each(['007', '1e3', '0x10', '2024.10', '12'])('-o %s', (name) => {
  put('w.safetensors');
  expect(run('quantize', 'w.safetensors', '-o', name, '--bits', '2')).toMatchObject({ code: 0 });
  expect(existsSync(join(folder, name))).toBe(true);
});

// asciidoctor/asciidoctor#1956, mjmlio/mjml#1775: the output replaced the input of another option.
test('finetune -o that names its own --weights', () => {
  put('w.safetensors');
  const argv = [
    '--weights',
    'w.safetensors',
    '-o',
    'w.safetensors',
    '--steps',
    '1',
    '--batch',
    '20',
    '--images',
    '40',
  ];
  const { code } = run('finetune', ...argv, '--bits', '2');
  expect([code, isIntact('w.safetensors')]).toEqual([1, true]);
});

// pytorch/pytorch#3805, #9176: a network of DataParallel that is no VGG is refused by the names that it has.
test('quantize of another network’s .pth names a parameter of it', () => {
  writeFileSync(join(folder, 'dp.pth'), dataParallel());
  const { code, said } = run('quantize', 'dp.pth', '-o', 'q.safetensors');
  expect([code, said.split('\n').at(-1)]).toEqual([1, expect.stringMatching(/^error: .*0\.weight/)]);
});
