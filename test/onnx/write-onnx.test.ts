// Files that writeOnnx makes: ONNX Runtime runs them to the interpreter's values, and readOnnx gives the model back.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import {
  arithmetic,
  classifier,
  codebook,
  direct,
  float,
  foreign,
  halves,
  integers,
  moves,
  of,
  old,
  quantized,
  runOnOrt,
} from '../support/onnx-models.ts';

const cases = { classifier, arithmetic, moves, old, halves, quantized, integers, codebook, foreign };

describe.each(Object.entries(cases))('%s', (_, make) => {
  test('ONNX Runtime gives what the interpreter gives', async () => {
    const { model, feeds, expected } = make();
    const outputs = await runOnOrt(writeOnnx(model), feeds);
    const own = expected ?? Object.values(interpretGraph(model, feeds));
    for (const [i, name] of model.graph.outputs.entries()) {
      const { dtype, dims, data } = own[i];
      expect(outputs[name].type).toBe(dtype);
      expect([...outputs[name].dims]).toEqual(dims);
      const got = outputs[name].data as Float32Array;
      if (dtype !== 'float32') {
        const bits = dtype === 'float16' ? new Uint16Array(got.buffer, got.byteOffset, got.length) : got;
        expect([...bits]).toEqual([...data]);
      } else for (const [at, value] of got.entries()) expect(value).toBeCloseTo(Number(data[at]), 4);
    }
  });

  test('readOnnx gives the same model', () => {
    const { model } = make();
    expect(readOnnx(writeOnnx(model))).toEqual(model);
  });
});

test('shapes of outputs are written, with the inputs’ symbols', () => {
  for (const { model, shapes } of [classifier, arithmetic, moves, old, halves, codebook, direct].map((make) =>
    make(),
  )) {
    // The outputs of one file are the inputs of another, whose shapes are read.
    const text = Buffer.from(writeOnnx(model)).toString('latin1');
    for (const dim of shapes!.flat()) if (typeof dim === 'string') expect(text).toContain(dim);
    expect(outputShapes(writeOnnx(model))).toEqual(shapes);
  }
});

/** Shapes of a file's outputs: field 12 of its graph (7) made field 11, and read as inputs. */
function outputShapes(bytes: Uint8Array): unknown[] {
  const graph = fieldsOf(bytes).find(({ field }) => field === 7)!.body;
  const infos = fieldsOf(graph).filter(({ field }) => field === 12);
  return infos.map(({ body }) => {
    const type = fieldsOf(body).find(({ field }) => field === 2)!.body;
    const tensor = fieldsOf(type)[0].body;
    const shape = fieldsOf(tensor).find(({ field }) => field === 2)!.body;
    return fieldsOf(shape).map(({ body: dim }) => {
      const { field, value, body: name } = fieldsOf(dim)[0];
      return field === 1 ? value : new TextDecoder().decode(name);
    });
  });
}

interface Field {
  field: number;
  value: number;
  body: Uint8Array;
}

/** Protobuf of varints and lengths below 2^31, read without the library. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let [value, unit] = [0, 1];
    for (; bytes[at] > 127; unit *= 128) value += (bytes[at++] - 128) * unit;
    value += bytes[at++] * unit;
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    const isBytes = (tag & 7) === 2;
    fields.push({ field: tag >> 3, value, body: bytes.subarray(at, isBytes ? at + value : at) });
    if (isBytes) at += value;
  }
  return fields;
}

describe('the file', () => {
  const relu = (attributes: Attributes = {}, opset = 17): GraphModel => {
    const w = new GraphWriter('relu', opset);
    return w.model([w.node('Relu', 'y', [w.input(float('x', 2))], attributes)]);
  };

  test('says who made it, for which version, and keeps metadata', () => {
    const fields = fieldsOf(writeOnnx(relu({}, 21), { metadata: { made: 'today' } }));
    expect(fields.find(({ field }) => field === 1)!.value).toBe(10);
    expect(Buffer.from(fields.find(({ field }) => field === 2)!.body).toString()).toBe('lloyd');
    expect(Buffer.from(fields.find(({ field }) => field === 14)!.body).toString('latin1')).toMatch(
      /made.*today/s,
    );
  });

  test('keeps 64-bit integers, floats that are whole, empty lists, and bits of NaN', () => {
    const attributes = {
      axes: [1, 2 ** 52],
      ends: BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)),
      none: [],
      scales: Float32Array.of(1, 2),
      names: ['a', 'ü'],
      alpha: 1,
      large: Math.fround(1e30),
      zero: -0,
      bits: {
        dtype: 'float32',
        dims: [2],
        data: new Float32Array(Uint32Array.of(0x7fc01234, 0x80000000).buffer),
      },
    } satisfies Attributes;
    const read = readOnnx(writeOnnx(relu(attributes))).graph.nodes[0].attributes;
    expect(read).toEqual({ ...attributes, none: [] });
    const { data } = read.bits as OnnxTensor;
    expect([...new Uint32Array(data.buffer, data.byteOffset, 2)]).toEqual([0x7fc01234, 0x80000000]);
  });

  test('keeps a subgraph that no operator here takes', () => {
    const bytes = Uint8Array.of(10, 1, 103, 50, 0, 160, 1, 5);
    const model = relu({ g: { kept: 'a subgraph', bytes } });
    expect(readOnnx(writeOnnx(model))).toEqual(model);
  });

  test('holds elements of every width', () => {
    const tensors: OnnxTensor[] = [
      of('int2', [5], Int8Array.of(-2, 1, 0, -1, 1)),
      of('uint2', [3], Uint8Array.of(3, 0, 2)),
      of('uint4', [3], Uint8Array.of(15, 0, 9)),
      of('bool', [2], Uint8Array.of(1, 0)),
      of('uint32', [2], Uint32Array.of(0, 2 ** 32 - 1)),
      of('int16', [2], Int16Array.of(-32768, 1)),
      of('uint16', [0, 2], new Uint16Array(0)),
    ];
    const model = relu();
    const parameters = new Map(tensors.map((tensor, i) => [`t${i}`, tensor]));
    expect(readOnnx(writeOnnx({ ...model, parameters })).parameters).toEqual(parameters);
  });

  test('is refused for what ONNX has no place for', () => {
    expect(() => writeOnnx(relu({}, 28))).toThrow(/opset must be an integer from 7 to 27/);
    expect(() => writeOnnx(relu(), { opset: 13 })).toThrow(
      /relu follows opset 17.*or a newer one.*13; leave opset out/,
    );
    expect(() => writeOnnx(relu(), { opset: 1e9 })).toThrow(/opset must be an integer from 7 to 27/);
    for (const model of [null, {}, { graph: { nodes: [] } }, { ...relu(), parameters: {} }]) {
      expect(() => writeOnnx(model as GraphModel)).toThrow(/a model must be a graph of ONNX/);
    }
    expect(() => writeOnnx(relu(), { format: 'qdq' })).toThrow(/format qdq takes a quantized model/);
    expect(() => writeOnnx(relu({ a: {} as number }))).toThrow(/y \(Relu\): a must be a number, a text/);
    const parameters = new Map([['w', of('float32', [3], new Float32Array(2))]]);
    expect(() => writeOnnx({ ...relu(), parameters })).toThrow(/w\.data must have 3 elements/);
  });
});
