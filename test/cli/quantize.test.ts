// lloyd quantize on networks that are no VGG: ONNX in, ONNX or safetensors out, calibrated on pictures and arrays.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jpeg from 'jpeg-js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import type { Tensor } from '../../src/io/tensor.ts';
import {
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
  type QuantizedModel,
} from '../../src/model/quantized-model.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { readModelFile } from '../../src/run/file.ts';
import { resample } from '../../src/run/resample.ts';
import { npy } from '../io/npy-writer.ts';
import { zip } from '../io/zip-writer.ts';
import { lloyd } from '../support/command-line.ts';
import { imageClassifier, png } from '../support/image-classifier.ts';
import { seeded } from '../support/runtime.ts';

let folder = '';
const at = (...names: string[]) => join(folder, ...names);
const COUNT = 12;
/** The pictures' pixels, RGB of 8 x 8. */
const pictures = Array.from({ length: COUNT }, (_, i) => {
  const random = seeded(100 + i);
  return Uint8Array.from({ length: 192 }, () => random.integer(0, 255));
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-quantize-'));
  await writeFile(at('model.onnx'), writeOnnx(imageClassifier()));
  await mkdir(at('photos/deeper'), { recursive: true });
  for (const [i, pixels] of pictures.entries()) {
    await writeFile(at(i % 2 ? 'photos/deeper' : 'photos', `${i}.png`), png(8, 8, pixels));
  }
  // The same pictures as arrays, N x 3 x 8 x 8.
  const data = new Float32Array(COUNT * 192);
  for (const [n, pixels] of pictures.entries()) {
    for (let p = 0; p < 192; p++)
      data[n * 192 + (p % 3) * 64 + Math.floor(p / 3)] = (pixels[p] / 255 - 0.5) / 0.25;
  }
  const image: Tensor = { dtype: 'float32', dims: [COUNT, 3, 8, 8], data };
  await writeFile(at('inputs.npy'), npy(image));
  await writeFile(at('inputs.npz'), zip([{ name: 'image.npy', data: npy(image) }]));
  await writeFile(at('inputs.safetensors'), writeSafetensors(new Map([['image', image]])));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function quantized(...argv: string[]): Promise<QuantizedModel> {
  const { code, err } = await lloyd('quantize', at('model.onnx'), '-o', at('out.safetensors'), ...argv);
  expect([code, err]).toEqual([0, expect.stringContaining('wrote')]);
  const network = readModelFile(await readFile(at('out.safetensors')));
  if (!isQuantized(network)) throw new Error('a float network was written');
  return network;
}

const LINEAR = ['--method', 'linear', '--bits', '8'];
const NORMED = ['--mean', '0.5,0.5,0.5', '--std', '0.25'];

test('an empty file of tensors is said to be one', async () => {
  await writeFile(at('empty.npz'), new Uint8Array());
  const argv = ['quantize', at('model.onnx'), '-o', at('out.onnx'), '--calibration', at('empty.npz')];
  const { code, err } = await lloyd(...argv);
  expect(code).toBe(1);
  expect(err).toMatch(
    /empty\.npz: a file of tensors must hold some; received "an empty file"; save it again/,
  );
});

test('a network without layers to quantize is refused, and nothing is written', async () => {
  const w = new GraphWriter('bare', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 4] });
  await writeFile(at('bare.onnx'), writeOnnx(w.model([w.node('Relu', 'y', [x])])));
  const { code, err } = await lloyd('quantize', at('bare.onnx'), '-o', at('bare.int8.onnx'));
  expect(code).toBe(1);
  expect(err).toMatch(/bare\.onnx must have layers to quantize: .*; received "none"; lloyd check says/);
  expect(await readdir(folder)).not.toContain('bare.int8.onnx');
});

test('what calibrates makes it linear, of 8 bits, unless told otherwise', async () => {
  const made = await quantized('--calibration', at('photos'), ...NORMED);
  expect([...made.layers.values()].map(({ method, bits }) => [method, bits])).toEqual(
    Array(3).fill(['linear', 8]),
  );
  const plain = await quantized();
  expect([...plain.layers.values()].map(({ method, bits }) => [method, bits])).toEqual(
    Array(3).fill(['kmeans', 4]),
  );
});

test('pictures and arrays of the same values calibrate to the same network', async () => {
  const own = await quantized(...LINEAR, '--calibration', at('photos'), ...NORMED);
  expect([...own.layers.keys()]).toEqual(['first', 'second', 'scores']);
  expect(own.activations.get('image')!.zeroPoint).not.toBe(-128);
  for (const name of ['inputs.npy', 'inputs.npz', 'inputs.safetensors']) {
    const other = await quantized(...LINEAR, '--calibration', at(name));
    expect(other.activations, name).toEqual(own.activations);
    expect(other.layers, name).toEqual(own.layers);
  }
  const unnormed = await quantized(...LINEAR, '--calibration', at('photos'));
  expect(unnormed.activations.get('image')).toEqual({ scale: Math.fround(1 / 255), zeroPoint: -128 });
  const few = await quantized(...LINEAR, '--calibration', at('photos'), ...NORMED, '--samples', '1');
  expect(few.activations).not.toEqual(own.activations);
});

test('every calibration method gives a network, a percentile cuts an outlier off', async () => {
  const image: Tensor = { dtype: 'float32', dims: [6, 3, 8, 8], data: seeded(71).floats(6 * 192) };
  (image.data as Float32Array)[77] = 60;
  await writeFile(at('outlier.npy'), npy(image));
  const scales: Record<string, number> = {};
  for (const method of ['minmax', 'moving-average', 'percentile', 'mse', 'entropy']) {
    const json = at('method.json');
    const argv = [...LINEAR, '--calibration', at('outlier.npy'), '--json', json];
    const percentile = method === 'percentile' ? ['--percentile', '99'] : [];
    const made = await quantized(...argv, '--calibration-method', method, ...percentile);
    scales[method] = made.activations.get('image')!.scale;
    const report = JSON.parse(await readFile(json, 'utf8'));
    expect([report.calibrationMethod, report.percentile]).toEqual([
      method,
      method === 'percentile' ? 99 : undefined,
    ]);
  }
  expect(scales.minmax).toBeGreaterThan(60 / 255);
  expect(scales.percentile).toBeLessThan(scales.minmax / 5);
  expect(scales.entropy).toBeLessThan(scales.minmax / 2);
  expect(scales.mse).toBeLessThanOrEqual(scales.minmax);
  const plain = await quantized(...LINEAR, '--calibration', at('outlier.npy'));
  expect(plain.activations.get('image')!.scale).toBe(scales.minmax);
});

test('a scale or a codebook a channel or a layer, as it is asked for', async () => {
  const json = at('per.json');
  const linear = async (...argv: string[]) => {
    const made = await quantized(...LINEAR, '--calibration', at('photos'), '--json', json, ...argv);
    const { perChannel } = JSON.parse(await readFile(json, 'utf8'));
    return [perChannel, new Set((made.layers.get('second') as LinearLayer).scale).size];
  };
  expect(await linear()).toEqual([true, 10]);
  expect(await linear('--per-channel')).toEqual([true, 10]);
  expect(await linear('--no-per-channel')).toEqual([false, 1]);
  const codebooks = async (...argv: string[]) => {
    const made = await quantized('--bits', '2', ...argv);
    return (made.layers.get('second') as CodebookLayer).groups ?? 1;
  };
  expect([await codebooks(), await codebooks('--no-per-channel'), await codebooks('--per-channel')]).toEqual([
    1, 1, 10,
  ]);
});

test('layers, operators and patterns are given their bits, and what is excluded stays in floats', async () => {
  const linear = await quantized(
    ...['--method', 'linear', '--bits', '8', '--layers', 'sec*=4', '--exclude', 'Gemm'],
    ...['--calibration', at('photos')],
  );
  expect([...linear.layers].map(([name, { bits }]) => [name, bits])).toEqual([
    ['first', 8],
    ['second', 4],
  ]);
  const kmeans = await quantized('--bits', '3', '--exclude', 'first', '--layers', 'Gemm=5');
  expect([...kmeans.layers].map(([name, { bits }]) => [name, bits])).toEqual([
    ['second', 3],
    ['scores', 5],
  ]);
});

/** Two inputs, a convolution of one, a product of the other, and a head: layers of three operators. */
async function writeTwoInputs(path: string): Promise<void> {
  const w = new GraphWriter('two inputs', 17);
  const random = seeded(81);
  const constant = (name: string, ...dims: number[]) => {
    const data = random.floats(
      dims.reduce((a, b) => a * b),
      0.4,
    );
    return w.constant(name, { dtype: 'float32', dims, data });
  };
  const image = w.input({ name: 'image', dtype: 'float32', shape: ['n', 2, 4, 4] });
  const words = w.input({ name: 'words', dtype: 'float32', shape: ['n', 6] });
  const conv = w.node('Conv', 'encoder.conv', [image, constant('cw', 8, 2, 3, 3)]);
  const rows = w.node('Flatten', 'rows', [w.node('Relu', 'relu', [conv])]);
  const embedded = w.node('MatMul', 'encoder.embed', [words, constant('ew', 6, 32)]);
  const both = w.node('Concat', 'both', [rows, embedded], { axis: 1 });
  const head = w.node('Gemm', 'head', [both, constant('hw', 64, 3), constant('hb', 3)]);
  await writeFile(path, writeOnnx(w.model([head])));
}

test('a network of several inputs is calibrated by their names, its layers planned by pattern and operator', async () => {
  await writeTwoInputs(at('two.onnx'));
  const random = seeded(82);
  const image: Tensor = { dtype: 'float32', dims: [5, 2, 4, 4], data: random.floats(160) };
  const values = random.floats(30, 3);
  const words: Tensor = { dtype: 'float32', dims: [5, 6], data: values };
  const named = new Map([
    ['words', words],
    ['image', image],
    ['labels', { dtype: 'int32', dims: [5], data: new Int32Array(5) } as Tensor],
  ]);
  await writeFile(
    at('two.npz'),
    zip([...named].map(([name, tensor]) => ({ name: `${name}.npy`, data: npy(tensor) }))),
  );
  await writeFile(at('two.safetensors'), writeSafetensors(named));
  await writeFile(at('words.safetensors'), writeSafetensors(new Map([['words', words]])));
  const run = (...argv: string[]) => lloyd('quantize', at('two.onnx'), ...LINEAR, ...argv);
  const planned = async (calibration: string, ...argv: string[]) => {
    const { code, err } = await run('-o', at('two.int8.onnx'), '--calibration', at(calibration), ...argv);
    expect([code, err]).toEqual([0, expect.stringContaining('5 samples of')]);
    const { parameters } = readOnnx(await readFile(at('two.int8.onnx')));
    const dtypes = ['encoder.conv', 'encoder.embed', 'head'].map(
      (name) => parameters.get(`${name}/weight/codes`)?.dtype ?? 'float32',
    );
    return { dtypes, scale: parameters.get('words/scale')?.data[0] };
  };
  const [smallest, largest] = [Math.min(...values), Math.max(...values)];
  for (const file of ['two.npz', 'two.safetensors']) {
    const { dtypes, scale } = await planned(file);
    expect(dtypes, file).toEqual(['int8', 'int8', 'int8']);
    expect(scale, file).toBe(Math.fround((largest - smallest) / 255));
  }
  const dtypes = async (...argv: string[]) => (await planned('two.npz', ...argv)).dtypes;
  expect(await dtypes('--layers', 'encoder.*=4')).toEqual(['int4', 'int4', 'int8']);
  expect(await dtypes('--layers', 'MatMul=4,head=32')).toEqual(['int8', 'int4', 'float32']);
  expect(await dtypes('--exclude', '*conv')).toEqual(['float32', 'int8', 'int8']);
  expect(await dtypes('--exclude', 'Gemm,MatMul')).toEqual(['int8', 'float32', 'float32']);
  // What is excluded stays so, whatever the plan says.
  expect(await dtypes('--layers', '*=4', '--exclude', 'head')).toEqual(['int4', 'int4', 'float32']);
  for (const [argv, message] of [
    [
      ['--calibration', at('words.safetensors')],
      /it must hold a tensor for each input: image, words; received "words"/,
    ],
    [
      ['--calibration', at('photos')],
      /pictures are for a network of one input of four dimensions.*FILE\.npz/,
    ],
    [
      ['--calibration', at('two.npz'), '--layers', 'decoder.*=4'],
      /--layers may name only .*encoder\.conv, encoder\.embed/,
    ],
  ] as const) {
    const { code, err } = await run('-o', at('refused.onnx'), ...argv);
    expect([code, err]).toEqual([1, expect.stringMatching(message)]);
    expect(err.trim().split('\n')).toHaveLength(1);
  }
});

test('an ONNX file is written in the format that is asked for, and read again', async () => {
  const out = at('out.onnx');
  const write = async (...argv: string[]) => {
    const { code, err } = await lloyd('quantize', at('model.onnx'), '-o', out, ...argv);
    expect([code, err]).toEqual([0, expect.stringContaining('wrote')]);
    return readOnnx(await readFile(out)).graph.nodes.map(({ op }) => op);
  };
  const photos = [...LINEAR, '--calibration', at('photos')];
  expect(await write(...photos)).toContain('DequantizeLinear');
  expect(await write(...photos, '--format', 'qoperator')).toContain('QLinearConv');
  expect(await write('--bits', '4', '--shape', 'batch=2')).toContain('Gather');
  const json = at('out.json');
  await write(...photos, '--json', json);
  const report = JSON.parse(await readFile(json, 'utf8'));
  expect(report).toMatchObject({ format: 'qdq', calibration: `12 pictures of ${at('photos')}`, bits: 8 });
  expect(report.fileBytes).toBe((await readFile(out)).byteLength);
});

/** The bytes of a JPEG file, of RGB pixels. */
function jpegOf(width: number, height: number, rgb: Uint8Array): Buffer {
  const data = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
    i % 4 === 3 ? 255 : rgb[Math.floor(i / 4) * 3 + (i % 4)],
  );
  return jpeg.encode({ width, height, data }, 100).data;
}

/** JPEG files that are none, by what is wrong with them. */
function damagedJpegs(): Record<string, Buffer> {
  const whole = jpegOf(8, 8, pictures[0]);
  const frame = whole.indexOf(Buffer.of(0xff, 0xc0));
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return bytes;
  };
  return {
    truncated: whole.subarray(0, whole.length - 20),
    headless: whole.subarray(0, frame + 4),
    noisy: changed((bytes) => bytes.fill(Buffer.of(0xff, 0x55), whole.length - 62, whole.length - 2)),
    inks: changed((bytes) => bytes.writeUInt8(4, frame + 9)),
    vast: changed((bytes) => bytes.fill(0xff, frame + 5, frame + 9)),
  };
}

test('JPEG pictures calibrate as PNG ones of their pixels do', async () => {
  await mkdir(at('jpeg'), { recursive: true });
  await mkdir(at('decoded'), { recursive: true });
  for (const [i, pixels] of pictures.slice(0, 4).entries()) {
    const smooth = pixels.map((_, p) => 40 + i * 20 + (p % 3) * 30 + Math.floor(p / 24) * 9);
    const bytes = jpegOf(8, 8, smooth);
    await writeFile(at('jpeg', `${i}.${i % 2 ? 'jpg' : 'JPEG'}`), bytes);
    const { data } = jpeg.decode(bytes, { useTArray: true });
    const rgb = Uint8Array.from({ length: 192 }, (_, p) => data[Math.floor(p / 3) * 4 + (p % 3)]);
    // What is stored is what was drawn, but for what JPEG rounds.
    expect(Math.max(...rgb.map((value, p) => Math.abs(value - smooth[p])))).toBeLessThan(12);
    await writeFile(at('decoded', `${i}.png`), png(8, 8, rgb));
  }
  const [own, same] = [
    await quantized(...LINEAR, '--calibration', at('jpeg'), ...NORMED),
    await quantized(...LINEAR, '--calibration', at('decoded'), ...NORMED),
  ];
  expect(own.activations).toEqual(same.activations);
  expect(own.layers).toEqual(same.layers);
});

test('--order and --interpolation say how pictures become tensors', async () => {
  // Pictures of another size, and what Pillow's rule makes of them with red and blue in each other's places.
  await mkdir(at('large'), { recursive: true });
  await mkdir(at('small'), { recursive: true });
  for (let i = 0; i < 3; i++) {
    const random = seeded(200 + i);
    const data = Uint8Array.from({ length: 13 * 11 * 3 }, () => random.integer(0, 255));
    await writeFile(at('large', `${i}.png`), png(13, 11, data));
    const small = resample({ width: 13, height: 11, channels: 3, data }, 8, 8, 'bicubic').data;
    const swapped = small.map((_, p) => small[p - (p % 3) + (2 - (p % 3))]);
    await writeFile(at('small', `${i}.png`), png(8, 8, swapped));
  }
  const [own, same, other] = [
    await quantized(
      ...[...LINEAR, '--calibration', at('large'), ...NORMED],
      ...['--order', 'bgr', '--interpolation', 'bicubic'],
    ),
    await quantized(...LINEAR, '--calibration', at('small'), ...NORMED),
    await quantized(...LINEAR, '--calibration', at('large'), ...NORMED, '--order', 'bgr'),
  ];
  expect(own.activations).toEqual(same.activations);
  expect(own.activations).not.toEqual(other.activations);
});

test.each([
  [['--calibration', 'nowhere'], /--calibration must be a number of CIFAR-10 training images, a folder/],
  [
    [],
    /CIFAR-10's images are for an input of 32 x 32 x 3; received "image \[batch, 3, 8, 8\]"; pass --calib/,
  ],
  [['--calibration', 'photos', '--size', '9x9'], /--size must be the network's own, 8x8; received "9x9"/],
  [['--calibration', 'photos', '--mean', '1,2,3,4'], /--mean must have one value, or 3; received 4/],
  [['--calibration', 'photos', '--layout', 'nhwc'], /must have 1, 3 or 4 channels in nhwc/],
  [['--calibration', 'others'], /pictures must be PNG or JPEG files; received ".*a.webp"; convert them/],
  [['--calibration', 'misnamed'], /a picture must be a PNG or JPEG file; received ".*a.jpg"; convert it/],
  [
    ['--calibration', 'truncated'],
    /a picture must be a whole JPEG file; received ".*y.jpg \(it ends early\)"/,
  ],
  [
    ['--calibration', 'headless'],
    /a picture must be a whole JPEG file; received ".*y.jpg \(it ends early\)"/,
  ],
  [
    ['--calibration', 'noisy'],
    /a picture must be a whole JPEG file; received ".*y.jpg \(.+\)"; fetch it again/,
  ],
  [
    ['--calibration', 'inks'],
    /must be grey or of three colours, .*y.jpeg, 4 components of 8 bits"; convert it/,
  ],
  [['--calibration', 'vast'], /a picture must have 1 to 67108864 pixels; received "4294836225 in .*y.jpg"/],
  [
    ['--calibration', 'empty'],
    /a folder of pictures must hold PNG or JPEG files; received ".*empty, none in it"/,
  ],
  [['--calibration', 'damaged'], /a picture must be a whole PNG file; received ".*x.png/],
  [['--calibration', 'wrong.npy'], /image: tensors must have the input's shape \[batch, 3, 8, 8\]/],
  [['--calibration', 'model.onnx'], /model.onnx: /],
  [
    ['--calibration', 'photos', '--shape', 'width=3'],
    /shapes may name inputs and their symbols: image, batch/,
  ],
  [['--calibration', 'photos', '--exclude', 'Gem'], /--exclude may name only .*their operators: Conv, Gemm/],
  [['--calibration', 'photos', '-o', 'photos/0.png'], /--out must be another file than the input/],
])('refused without a device, and nothing written: %j', async (argv, message) => {
  const jpegs = damagedJpegs();
  for (const name of [...Object.keys(jpegs), 'others', 'misnamed'])
    await mkdir(at(name), { recursive: true });
  for (const [name, bytes] of Object.entries(jpegs)) {
    await writeFile(at(name, name === 'inks' ? 'y.jpeg' : 'y.jpg'), bytes);
  }
  await mkdir(at('empty'), { recursive: true });
  await mkdir(at('damaged'), { recursive: true });
  await writeFile(at('others/a.webp'), 'x');
  await writeFile(at('misnamed/a.jpg'), 'x');
  await writeFile(at('damaged/x.png'), png(8, 8, 1).subarray(0, 100));
  await writeFile(at('wrong.npy'), npy({ dtype: 'float32', dims: [2, 8], data: new Float32Array(16) }));
  const before = await readdir(folder);
  vi.stubEnv('LLOYD_ADAPTER', 'none of them');
  const paths = argv.map((each, i) => (['--calibration', '-o'].includes(argv[i - 1]) ? at(each) : each));
  const out = argv.includes('-o') ? [] : ['-o', at('refused.onnx')];
  const { code, err } = await lloyd('quantize', at('model.onnx'), ...LINEAR, ...out, ...paths).finally(() =>
    vi.unstubAllEnvs(),
  );
  expect(err).toMatch(message);
  expect([code, err.trim().split('\n').length]).toEqual([1, 1]);
  expect(await readdir(folder)).toEqual(before);
});

test.each([
  [['--size', '8'], /--size must be WxH; received "8"/],
  [['--mean', 'a'], /--mean must be a list of numbers; received "a"/],
  [['--std', '1,0,1'], /--std must not be 0/],
  [['--std', '1,2'], /--std must have a value for all channels, or one a channel; received 2/],
  [['--layout', 'chw'], /--layout must be one of nchw, nhwc/],
  [['--order', 'rbg'], /--order must be one of rgb, bgr/],
  [['--interpolation', 'lanczos'], /--interpolation must be one of bilinear, bicubic/],
  [['--shape', 'batch'], /--shape must be a list of symbol=size or input=AxBxC; received "batch"/],
  [['--shape', 'a=1', '--shape', 'a=2'], /--shape may give a size once; received "a=2"/],
  [
    ['--calibration-method', 'max'],
    /--calibration-method must be one of minmax, moving-average, percentile, mse, entropy; received "max"/,
  ],
  [
    ['--percentile', '99'],
    /--percentile is of that .*; received "minmax"; add --calibration-method percentile/,
  ],
  [
    ['--calibration-method', 'percentile', '--percentile', '0'],
    /--percentile must be a number above 0 and at/,
  ],
  [['--calibration-method', 'percentile', '--percentile', 'all'], /at most 100; received "all"/],
  [
    ['--method', 'kmeans', '--calibration', '8'],
    /--calibration is of --method linear: codebooks need no calibration; received "--method kmeans"; leave one/,
  ],
  [['--per-channel', '--no-per-channel'], /--per-channel is given or not; received "both ways"/],
  [['--format', 'int8'], /--format must be one of qdq, qoperator, codebook/],
  [['--format', 'qdq'], /--format must be one of what kmeans quantizes to; received "qdq"/],
  [['--method', 'linear', '--format', 'codebook'], /--format must be one of what linear quantizes to/],
  [['--method', 'linear', '--bits', '5'], /qdq holds weights of 4 or 8 bits; received 5/],
  [['--method', 'linear', '--format', 'qoperator', '--layers', 'a=4'], /qoperator holds weights of 8 bits/],
  [['--weight-type', 'uint8'], /--weight-type is of ONNX files in the formats qdq .*; received "codebook"/],
  [['--activation-type', 'int16'], /--activation-type must be one of int8, uint8; received "int16"/],
  [['--samples', '0'], /--samples must be an integer of at least 1/],
])('before any file is opened: %j', async (argv, message) => {
  const { code, err } = await lloyd('quantize', '/no/such.onnx', '-o', 'x.onnx', ...argv);
  expect(err).toMatch(message);
  expect([code, err.trim().split('\n').length]).toEqual([1, 1]);
});
