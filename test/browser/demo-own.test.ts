// A network of one's own on the page: read, run, quantized, checked and saved, held against ONNX Runtime.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { PNG } from 'pngjs';
import type { Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { syntheticFeed, syntheticPictures } from '../../demo/src/worker/own-samples.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { logitSqnrDb, writeModelFile } from '../../src/index.ts';
import { readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { pixelsOf } from '../../src/reference/preprocess-image.ts';
import { type PictureInput, pictureTensor } from '../../src/run/picture-input.ts';
import { imageClassifier, png } from '../support/image-classifier.ts';
import { seeded, testUnlessSlow } from '../support/runtime.ts';
import {
  chromiumFor,
  dropFile,
  openStage,
  type Stage,
  seriousFaults,
  statusOf,
  textOf,
  WAIT,
} from './demo-page.ts';
import { traceMainThread } from './main-thread.ts';
import { outputFolder } from './site.ts';

const ZONE = '#panel-yours .panel-row .drop';
const PICTURES = '#panel-yours form .drop';
const INPUT: PictureInput = {
  ...{ name: 'image', dtype: 'float32', layout: 'nchw', channels: 3, width: 8, height: 8 },
  ...{ mean: [0], std: [1] },
};
/** What a person does not notice: the bound that RAIL and the Long Tasks API set. */
const LONG_TASK_MS = 50;

interface Row {
  name: string;
  fileBytes: number;
  milliseconds: number;
  layers: { layer: string; own: { sqnrDb: number } | null }[];
  outputs: { name: string; sqnrDb: number; cosine: number }[];
  firstSample: Record<string, { dims: number[]; data: number[] }>;
}
interface Report {
  samples: string;
  rows: Row[];
}

const chromium = await chromiumFor(10);

describe.skipIf(!chromium)('a network of one’s own on the page', { timeout: WAIT + 60_000 }, () => {
  const model = imageClassifier();
  const bytes = writeOnnx(model);
  let stage: Stage;
  let page: Page;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lloyd-own-'));
    stage = await openStage(chromium!, 'site-own');
    page = await stage.open('?images=4');
    await page.click('#tab-yours');
    const session = await page.createCDPSession();
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  }, 180_000);
  afterAll(async () => {
    await stage?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const drop = (name: string, content: Uint8Array) =>
    dropFile(page, ZONE, { name, type: '', bytes: content });
  const status = (pattern: RegExp) => statusOf(page, 'yours', pattern);
  const pick = (...wanted: string[]) =>
    page.$$eval(
      '#panel-yours input[name=row]',
      (boxes, names) => {
        for (const box of boxes as HTMLInputElement[])
          if (box.checked !== names.includes(box.value)) box.click();
      },
      wanted,
    );
  const take = (source: string) =>
    page.$eval(`#panel-yours .choice input[value=${source}]`, (input) => (input as HTMLElement).click());
  const fill = (name: string, value: string) =>
    page.$eval(
      `#panel-yours input[name=${name}]`,
      (field, text) => {
        (field as HTMLInputElement).value = text;
      },
      value,
    );
  const run = () =>
    page.$eval('#panel-yours button[type=submit]', (button) => (button as HTMLElement).click());
  const report = (): Promise<Report> =>
    page.$eval('#panel-yours a[download]', async (link) =>
      (await fetch((link as HTMLAnchorElement).href)).json(),
    );
  const screenshot = (name: string) =>
    page.screenshot({ path: join(outputFolder, `${name}.png`) as `${string}.png`, fullPage: true });
  /** Saves a file of a row, as a click does. */
  const saved = async (row: string, format: string): Promise<Uint8Array> => {
    await page.$eval(`#panel-yours tr:has([data-row=${row}]) button[data-format=${format}]`, (button) =>
      (button as HTMLElement).click(),
    );
    const name = /^Saved (.*)\.$/.exec(await status(/^Saved .*\.(onnx|safetensors)\.$/))![1];
    const end = performance.now() + 30_000;
    while (!(await readdir(folder)).includes(name)) {
      if (performance.now() > end) throw new Error(`${name} was not saved`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return readFile(join(folder, name));
  };

  test('is read, run, quantized to two precisions and checked, while the page’s thread stays free', async () => {
    await drop('classifier.onnx', bytes);
    await status(/^Press Run/);
    expect(await textOf(page, '#panel-yours .facts')).toMatch(
      /6 of 6 run on the GPU.*image \[batch, 3, 8, 8\]/,
    );
    const thread = await traceMainThread(page, async () => {
      await pick('linear-8', 'kmeans-4');
      await run();
      await status(/^3 precisions in|received/);
    });
    console.log(`the longest of ${thread.tasks} tasks computed for ${thread.cpuMs.toFixed(1)} ms`);
    expect(thread.cpuMs).toBeLessThan(LONG_TASK_MS);
    const { rows, samples } = await report();
    expect(samples).toBe('4 synthetic pictures of noise, seed 1');
    expect(rows.map(({ name }) => name)).toEqual(['fp32', 'linear-8', 'kmeans-4']);

    const pictures = syntheticPictures(INPUT, 4);
    const feeds = pictures.map((each) => pictureTensor([each], INPUT, 1));
    const exact = await runOrt(bytes, feeds);
    const there = Float32Array.from(rows[0].firstSample['scores out'].data);
    expect(there).toHaveLength(5);
    expect(worst(there, exact[0])).toBeLessThan(1e-5);
    // The file that is saved says the same elsewhere as the network did here.
    const qdq = await saved('linear-8', 'qdq');
    const made = await runOrt(qdq, feeds);
    expect(worst(Float32Array.from(rows[1].firstSample['scores out'].data), made[0])).toBeLessThan(1e-4);
    const sqnrDb = logitSqnrDb(joined(made), joined(exact));
    expect(rows[1].outputs[0].sqnrDb).toBeCloseTo(sqnrDb, 1);
    expect(sqnrDb).toBeGreaterThan(25);
    const codebook = await saved('kmeans-4', 'codebook');
    expect(rows[2].outputs[0].sqnrDb).toBeCloseTo(
      logitSqnrDb(joined(await runOrt(codebook, feeds)), joined(exact)),
      1,
    );
    await runOrt(await saved('linear-8', 'qoperator'), feeds);
    const again = readOnnx(await saved('fp32', 'float'));
    expect(again.graph.nodes).toEqual(model.graph.nodes);

    // What is shown is what was measured.
    const shown = await page.$$eval('#panel-yours .own tbody tr', (lines) =>
      lines.map((line) => [...line.children].map((cell) => cell.textContent)),
    );
    expect(shown[1].slice(0, 3)).toEqual([
      'linear 8 bit',
      `${rows[1].outputs[0].sqnrDb.toFixed(1)} dB`,
      rows[1].outputs[0].cosine.toFixed(6),
    ]);
    expect(shown[0][4]).toContain(`${(bytes.byteLength / 1024).toFixed(1)} KiB`);
    for (const row of rows) expect(row.milliseconds).toBeGreaterThan(0);
    const layers = await page.$$eval('#panel-yours .layers tbody tr', (lines) =>
      lines.map((line) => [(line as HTMLElement).dataset.layer, line.children[3].textContent]),
    );
    expect(layers).toEqual(rows[1].layers.map(({ layer, own }) => [layer, `${own!.sqnrDb.toFixed(1)} dB`]));
    expect(layers.map(([name]) => name)).toEqual(['first', 'second', 'scores']);
  });

  test('is calibrated and checked with pictures that are dropped', async () => {
    await take('pictures');
    await run();
    await status(/^there must be pictures; received "none"/);
    const files = [60, 61, 62].map((seed) => ({
      name: `${seed}.png`,
      type: 'image/png',
      bytes: png(8, 8, seed),
    }));
    await dropFile(page, PICTURES, ...files);
    await status(/^3 pictures chosen/);
    await fill('mean', '0.5, x');
    await run();
    await status(/^Mean must be numbers with commas between them; received "0\.5, x"/);
    await fill('mean', '0.5, 0.4, 0.3');
    await fill('std', '0.25');
    await pick('linear-4');
    await run();
    await status(/^2 precisions in|received/);
    const { rows, samples } = await report();
    expect(samples).toBe('3 pictures');
    const input = { ...INPUT, mean: [0.5, 0.4, 0.3], std: [0.25] };
    const feeds = files.map(({ bytes: file }) => {
      const { data, width, height } = PNG.sync.read(file as Buffer);
      return pictureTensor([pixelsOf(data, width, height, 3)], input, 1);
    });
    const [exact] = await runOrt(bytes, feeds.slice(0, 1));
    expect(worst(Float32Array.from(rows[0].firstSample['scores out'].data), exact)).toBeLessThan(1e-5);
    expect(rows[1].name).toBe('linear-4');
    expect(rows[1].outputs[0].sqnrDb).toBeGreaterThan(8);
    await dropFile(page, PICTURES, { name: 'torn.png', type: 'image/png', bytes: new Uint8Array(50) });
    await run();
    await status(/^a picture must be one that the browser reads; received "torn\.png"; PNG/);
  });

  test('refuses what is no sound network in one sentence, and lists every node that can’t run', async () => {
    await drop('half.onnx', bytes.subarray(0, bytes.length / 2));
    expect(await status(/^half\.onnx: /)).toMatch(/^half\.onnx: [^;]+; received [^;]+; .*\.$/);
    await drop('notes.txt', new Uint8Array(9));
    await status(/^a network is one \.onnx, .*received "notes\.txt"/);
    await drop('page.json', new TextEncoder().encode('{"a":1}'));
    await status(/^page\.json: a \.json file must be a TensorFlow\.js model/);
    const node = (op: string, input: string) => {
      return { op, name: `my ${op}`, inputs: [input], outputs: [`${op} out`], attributes: {} };
    };
    const nodes = [node('Relu', 'x'), node('Frobnicate', 'Relu out'), node('Twiddle', 'Frobnicate out')];
    const inputs = [{ name: 'x', dtype: 'float32' as const, shape: [1, 4] }];
    const graph = { name: 'odd', opset: 17, inputs, nodes, outputs: ['Twiddle out'] };
    await drop('odd.onnx', writeOnnx({ graph, parameters: new Map() }));
    await status(/^2 of 3 nodes can’t run here/);
    const lines = await page.$$eval('#panel-yours .refused tbody tr', (rows) =>
      rows.map((row) => [...row.children].map((cell) => cell.textContent)),
    );
    expect(lines).toEqual([
      ['my Frobnicate', 'Frobnicate', 'there is no such operator here'],
      ['my Twiddle', 'Twiddle', 'there is no such operator here'],
    ]);
    expect(
      await page.$eval('#panel-yours .primary', (button) => (button as HTMLButtonElement).disabled),
    ).toBe(true);
    await screenshot('yours-refused-1440');
  });

  test('that takes no pictures runs on seeded inputs of the shapes that are said', async () => {
    const random = seeded(9);
    const floats = (...dims: number[]) => {
      const count = dims.reduce((a, b) => a * b, 1);
      return { dtype: 'float32' as const, dims, data: random.floats(count) };
    };
    const node = (op: string, name: string, inputs: string[], attributes = {}) => {
      return { op, name, inputs, outputs: [`${name} out`], attributes };
    };
    const graph: Graph = {
      name: 'words',
      opset: 17,
      inputs: [
        { name: 'ids', dtype: 'int64', shape: ['batch', 'length'] },
        { name: 'x', dtype: 'float32', shape: ['batch', 'length', 8] },
      ],
      nodes: [
        node('Gather', 'embed', ['table', 'ids'], { axis: 0 }),
        node('Add', 'sum', ['embed out', 'x']),
        node('MatMul', 'project', ['sum out', 'matrix']),
      ],
      outputs: ['project out'],
    };
    const parameters = new Map<string, OnnxTensor>([
      ['table', floats(5, 8)],
      ['matrix', floats(8, 6)],
    ]);
    const words = writeOnnx({ graph, parameters });
    await drop('words.onnx', words);
    await status(/^Press Run/);
    const say = (...shapes: string[]) =>
      page.$$eval(
        '#panel-yours input[name=shape]',
        (fields, texts) => {
          for (const [i, field] of fields.entries()) (field as HTMLInputElement).value = texts[i];
        },
        shapes,
      );
    expect(await page.$$eval('#panel-yours input[name=shape]', (fields) => fields.length)).toBe(2);
    await pick('linear-8', 'kmeans-4');
    await say('1, 3', '1, 4, 8');
    await run();
    // What doesn't fit shows at the node that it doesn't fit at, and may be said again.
    await status(/^every node must run here; received "1 that don't"/);
    expect(await textOf(page, '#panel-yours .refused tbody')).toMatch(/^sumAdd.*3 against 4/);
    await say('1, 3', '1, 3, 8');
    await run();
    await status(/^3 precisions in|received/);
    const { rows, samples } = await report();
    expect(samples).toBe('4 sets of synthetic inputs, seed 1');
    const { ids, x } = syntheticFeed(graph, { ids: [1, 3], x: [1, 3, 8] }, 1);
    const session = await ort.InferenceSession.create(words, { executionProviders: ['cpu'] });
    const made = await session.run({
      ids: new ort.Tensor('int64', ids.data as BigInt64Array, ids.dims),
      x: new ort.Tensor('float32', x.data as Float32Array, x.dims),
    });
    await session.release();
    const [there] = Object.values(rows[0].firstSample);
    expect(there.dims).toEqual([1, 3, 6]);
    expect(worst(Float32Array.from(there.data), made['project out'].data as Float32Array)).toBeLessThan(1e-5);
    expect(rows[1].outputs[0].sqnrDb).toBeGreaterThan(25);
  });

  test('may be a safetensors file, and one that is quantized already', async () => {
    await drop('classifier.safetensors', writeModelFile(model));
    await status(/^Press Run: the network runs, is quantized/);
    await pick('linear-8');
    await run();
    await status(/^2 precisions in|received/);
    const quantized = await saved('linear-8', 'safetensors');
    for (const [name, content] of [
      ['int8.safetensors', quantized],
      ['int8.onnx', await saved('linear-8', 'qdq')],
    ] as const) {
      await drop(name, content);
      await status(/^Press Run: the network runs, as linear 8 bit, and can be saved/);
      await run();
      await status(/^1 precision in|received/);
      expect((await report()).rows.map((row) => row.name)).toEqual(['linear-8']);
    }
  });

  test('goes on after a lost device', async () => {
    await drop('classifier.onnx', bytes);
    await status(/^Press Run/);
    await take('synthetic');
    await pick('linear-8');
    await run();
    const [worker] = page.workers();
    await worker.evaluate(() => self.onmessage!({ data: { loseDevice: true } } as MessageEvent));
    await page.waitForFunction(
      () => /goes on with a new one/.test(document.querySelector('#device')!.textContent!),
      { timeout: 60_000 },
    );
    await status(/^2 precisions in|received/);
    await run();
    await status(/^2 precisions in|received/);
    expect((await report()).rows).toHaveLength(2);
  });

  test('looks right and is accessible in both themes at both widths', async () => {
    for (const theme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
      for (const [width, height] of [
        [1440, 900],
        [360, 800],
      ]) {
        await page.setViewport({ width, height });
        await new Promise((resolve) => setTimeout(resolve, 200));
        await screenshot(`yours-${width}-${theme}`);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
        expect(await seriousFaults(page), `${theme}, ${width} px`).toEqual([]);
      }
    }
    await page.setViewport({ width: 1440, height: 900 });
  });

  test('a long run is cancelled', async () => {
    await page.$eval('#panel-yours .beside button', (button) => (button as HTMLElement).click());
    await status(/^Press Run/);
    expect(await textOf(page, '#panel-yours .facts')).toContain(
      '9,233,866 numbers in itInputinput [batch, 32, 32, 3] float32',
    );
    await run();
    await status(/^Running fp32/);
    await page.$eval('#panel-yours .runline button:not(.primary)', (button) =>
      (button as HTMLElement).click(),
    );
    await status(/^Cancelled after 0 of \d precisions/);
  });

  testUnlessSlow('may be a TensorFlow.js model with its files of weights', async () => {
    const tf = await import('@tensorflow/tfjs');
    const network = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 3 }),
      ],
    });
    const files: { name: string; type: string; bytes: Uint8Array }[] = [];
    await network.save(
      tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
        const paths = ['group1-shard1of1.bin'];
        const json = {
          format: 'layers-model',
          modelTopology,
          weightsManifest: [{ paths, weights: weightSpecs }],
        };
        files.push({ name: 'model.json', type: '', bytes: new TextEncoder().encode(JSON.stringify(json)) });
        files.push({ name: paths[0], type: '', bytes: new Uint8Array(weightData as ArrayBuffer) });
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
      }),
    );
    await dropFile(page, ZONE, files[0]);
    await status(
      /^model\.json: its weights lie in group1-shard1of1\.bin too; received "model\.json"; drop both/,
    );
    await dropFile(page, ZONE, ...files);
    await status(/^Press Run/);
    await fill('mean', '0');
    await fill('std', '1');
    await pick('linear-8');
    await run();
    await status(/^2 precisions in|received/);
    const { rows } = await report();
    const input = { ...INPUT, layout: 'nhwc' as const };
    const [picture] = syntheticPictures(input, 1);
    const { data, dims } = pictureTensor([picture], input, 1);
    const exact = (
      network.predict(
        tf.tensor4d(data as Float32Array, dims as [1, 8, 8, 3]),
      ) as import('@tensorflow/tfjs').Tensor
    ).dataSync();
    const [there] = Object.values(rows[0].firstSample);
    expect(worst(Float32Array.from(there.data), Float32Array.from(exact))).toBeLessThan(1e-5);
    expect(rows[1].outputs[0].sqnrDb).toBeGreaterThan(25);
  });

  test('left no error in the console', () => {
    expect(stage.complaints).toEqual([]);
  });
});

const joined = (parts: readonly Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
const worst = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / Math.max(...b.map(Math.abs));

/** The only output of each feed, by ONNX Runtime. */
async function runOrt(bytes: Uint8Array, feeds: readonly OnnxTensor[]): Promise<Float32Array[]> {
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  });
  const made: Float32Array[] = [];
  for (const { data, dims } of feeds) {
    const results = await session.run({
      [session.inputNames[0]]: new ort.Tensor('float32', data as Float32Array, dims),
    });
    made.push(results[session.outputNames[0]].data as Float32Array);
  }
  await session.release();
  return made;
}
