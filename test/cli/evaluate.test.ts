// lloyd evaluate on a folder of pictures, and lloyd info on a file: networks that are no VGG.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jpeg from 'jpeg-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { topOne, wilson } from '../../src/run/metrics.ts';
import { lloyd } from '../support/command-line.ts';
import { imageClassifier, png } from '../support/image-classifier.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { seeded } from '../support/runtime.ts';

let folder = '';
const at = (...names: string[]) => join(folder, ...names);
const CLASSES = ['ant', 'bee', 'cat', 'dog', 'eel'];
const COUNT = 37;
let right = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-evaluate-'));
  const model = imageClassifier();
  await writeFile(at('model.onnx'), writeOnnx(model));
  for (const name of CLASSES) await mkdir(at('data', name), { recursive: true });
  await writeFile(at('data', 'notes.txt'), 'no picture');
  const random = seeded(21);
  for (let i = 0; i < COUNT; i++) {
    const pixels = Uint8Array.from({ length: 192 }, () => random.integer(0, 255));
    const data = new Float32Array(192);
    for (let p = 0; p < 192; p++) data[(p % 3) * 64 + Math.floor(p / 3)] = (pixels[p] / 255 - 0.5) / 0.1;
    const scores = interpretGraph(model, { image: { dtype: 'float32', dims: [1, 3, 8, 8], data } });
    const [top] = topOne(scores['scores out'].data as Float32Array, 5);
    // Two in three where they belong.
    const label = i < CLASSES.length ? i : i % 3 ? top : (top + 1) % 5;
    if (label === top) right++;
    await writeFile(at('data', CLASSES[label], `${i}.png`), png(8, 8, pixels));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const NORMED = ['--mean', '0.5', '--std', '0.1'];

test('top-1 with its interval, whatever the batch', async () => {
  const json = at('report.json');
  for (const batch of ['1', '8', '50']) {
    const argv = ['--data', at('data'), ...NORMED, '--batch', batch, '--images', 'all', '--json', json];
    const { code, out } = await lloyd('evaluate', at('model.onnx'), ...argv);
    expect([code, out]).toEqual([0, expect.stringMatching(/% of 37 pictures \(95 %: /)]);
    const [accuracyLow, accuracyHigh] = wilson(right, COUNT);
    expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({
      ...{ images: COUNT, accuracy: right / COUNT, accuracyLow, accuracyHigh },
      ...{ classes: CLASSES, method: 'fp32', bits: 32 },
    });
  }
});

test('JPEG pictures count as PNG ones of their pixels do', async () => {
  const random = seeded(22);
  for (let i = 0; i < 10; i++) {
    const [width, height] = [9 + i, 12];
    const data = Uint8Array.from({ length: width * height * 4 }, () => random.integer(0, 255));
    const bytes = jpeg.encode({ width, height, data }, 90).data;
    const decoded = jpeg.decode(bytes, { useTArray: true }).data;
    const rgb = decoded.filter((_, p) => p % 4 < 3);
    for (const [kind, picture] of [['jpg', bytes] as const, ['png', png(width, height, rgb)] as const]) {
      const folder = at(kind, CLASSES[i % 5]);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `${i}.${kind}`), picture);
    }
  }
  const accuracy = async (kind: string) => {
    const argv = ['--data', at(kind), ...NORMED, '--images', 'all', '--json', at('report.json')];
    const { code, err } = await lloyd('evaluate', at('model.onnx'), ...argv);
    expect([code, err]).toEqual([0, expect.not.stringContaining('error')]);
    const { images, accuracy } = JSON.parse(await readFile(at('report.json'), 'utf8'));
    expect(images).toBe(10);
    return accuracy;
  };
  expect(await accuracy('jpg')).toBe(await accuracy('png'));
  await writeFile(at('jpg', 'bee', 'z.jpeg'), Buffer.of(0xff, 0xd8, 0xff, 0xe0));
  const { code, err } = await lloyd('evaluate', at('model.onnx'), '--data', at('jpg'), '--images', 'all');
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/a picture must be a whole JPEG file; received ".*z.jpeg/),
  ]);
});

test('a quantized ONNX file, on some of the pictures', async () => {
  const quantize = ['--method', 'linear', '--bits', '8', '--calibration', at('data'), ...NORMED];
  expect((await lloyd('quantize', at('model.onnx'), '-o', at('int8.onnx'), ...quantize)).code).toBe(0);
  const json = at('report.json');
  const argv = ['--data', at('data'), ...NORMED, '--images', '20', '--json', json];
  const { code } = await lloyd('evaluate', at('int8.onnx'), ...argv);
  expect(code).toBe(0);
  expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({ images: 20, method: 'linear', bits: 8 });
});

test('info shows the dispatches of a file', async () => {
  const json = at('info.json');
  const { code, out } = await lloyd('info', '--plan', at('int8.onnx'), '--batch', '2', '--json', json);
  expect([code, out]).toEqual([0, expect.stringMatching(/GPU memory at batch 2/)]);
  const { plan } = JSON.parse(await readFile(json, 'utf8'));
  expect(plan.map(({ layer }: { layer: string }) => layer)).toEqual(
    expect.arrayContaining(['first', 'second', 'scores']),
  );
  const missing = await lloyd('info', '--plan', 'none.onnx');
  expect([missing.code, missing.err]).toEqual([1, expect.stringMatching(/must be a readable file/)]);
});

test('refusals', async () => {
  await mkdir(at('bare'), { recursive: true });
  await mkdir(at('hollow/class'), { recursive: true });
  await mkdir(at('many'), { recursive: true });
  for (let i = 0; i < 6; i++) {
    await mkdir(at('many', String(i)));
    await writeFile(at('many', String(i), 'x.png'), png(8, 8, i));
  }
  for (const [argv, message] of [
    [['--data', at('none')], /--data must be a folder; received ".*none \(ENOENT\)"/],
    [['--data', at('bare')], /--data must hold a folder a class; received ".*bare, none in it"/],
    [
      ['--data', at('hollow')],
      /a folder of pictures must hold PNG or JPEG files; received ".*class, none in it"/,
    ],
    [['--data', at('many')], /scores out: the network must have a score for each of the 6 classes/],
    [['--data', at('data'), '--images', '0'], /--images must be an integer of at least 1/],
    [['--size', '8x8'], /--size is of pictures; received "no --data"; add --data FOLDER/],
    [[], /this command takes networks of .*a graph of ONNX's operators/],
  ] as const) {
    const { code, err } = await lloyd('evaluate', at('model.onnx'), ...argv);
    expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    expect(err.trim().split('\n')).toHaveLength(1);
  }
});
