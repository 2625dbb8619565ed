// TensorFlow graphs by hand, as tfjs-converter writes them: what `tf.loadGraphModel` reads from memory.
import type { SharedTfjs } from '../../src/tfjs/index.ts';

type Attributes = Record<
  string,
  string | number | boolean | number[] | string[] | { float: number } | { type: string }
>;
/** TensorFlow's name of a placeholder's dtype. */
type DType = 'DT_FLOAT' | 'DT_INT32' | 'DT_BOOL';

const base64 = (text: string) => Buffer.from(text).toString('base64');

function attribute(value: Attributes[string]) {
  if (typeof value === 'string') return { s: base64(value) };
  if (typeof value === 'boolean') return { b: value };
  if (typeof value === 'number') return { i: String(value) };
  if (!Array.isArray(value)) return 'type' in value ? value : { f: value.float };
  if (typeof value[0] === 'string') return { list: { s: (value as string[]).map(base64) } };
  return { list: { i: value.map(String) } };
}

function placeholder(name: string, shape: readonly number[], type: DType) {
  const dim = shape.map((size) => ({ size: String(size) }));
  return { name, op: 'Placeholder', attr: { dtype: { type }, shape: { shape: { dim } } } };
}

/** A GraphDef and its weights, node by node. */
export function graphDef(name: string, shape: readonly number[]) {
  const nodes: object[] = [placeholder(name, shape, 'DT_FLOAT')];
  const weights: {
    name: string;
    shape: number[];
    dtype: 'float32' | 'int32';
    data: Float32Array | Int32Array;
  }[] = [];
  let signature: object | undefined;
  return {
    /** Another input. */
    input(own: string, dimensions: readonly number[], dtype: DType = 'DT_FLOAT') {
      nodes.push(placeholder(own, dimensions, dtype));
      return own;
    },
    /** Which tensors are outputs, by the names that a signature has for them. */
    outputs(names: Record<string, string>) {
      const entries = Object.entries(names).map(([key, tensor]) => [key, { name: tensor }]);
      signature = { outputs: Object.fromEntries(entries) };
    },
    node(op: string, own: string, input: readonly string[], attributes: Attributes = {}) {
      const attr = Object.fromEntries(Object.entries(attributes).map(([key, v]) => [key, attribute(v)]));
      nodes.push({ name: own, op, input, attr: { T: { type: 'DT_FLOAT' }, ...attr } });
      return own;
    },
    constant(own: string, dimensions: number[], data: Float32Array | Int32Array) {
      const dtype = data instanceof Float32Array ? 'float32' : 'int32';
      const type = dtype === 'float32' ? 'DT_FLOAT' : 'DT_INT32';
      const tensor = {
        dtype: type,
        tensorShape: { dim: dimensions.map((size) => ({ size: String(size) })) },
      };
      nodes.push({ name: own, op: 'Const', attr: { dtype: { type }, value: { tensor } } });
      weights.push({ name: own, shape: dimensions, dtype, data });
      return own;
    },
    /** As `tf.io` takes them. */
    artifacts() {
      const bytes = weights.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return {
        modelTopology: { node: nodes, versions: { producer: 440 } },
        weightSpecs: weights.map(({ name: own, shape: size, dtype }) => ({ name: own, shape: size, dtype })),
        weightData: Uint8Array.from(bytes.flatMap((part) => [...part])).buffer,
        ...(signature && { signature }),
      };
    },
    load({ tf }: Pick<SharedTfjs, 'tf'>) {
      return tf.loadGraphModel(tf.io.fromMemory(this.artifacts()) as never);
    },
  };
}
