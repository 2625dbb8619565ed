import { check } from '../gpu/errors.ts';
import type { Value } from './graph-builder.ts';
import { constantInput, middle, type Node, paddingOf, type Reader, read } from './graph-node.ts';
import type { Pads, Pair, TfjsTensor } from './tensorflow.ts';

export async function convolution(reader: Reader, node: Node): Promise<Value | undefined> {
  const { builder, batched } = reader;
  const { name, op, inputs } = node;
  const { bias, activation } = fusedOf(reader, node);
  const conv = {
    filter: constantInput(reader, node, 1),
    bias,
    strides: middle(name, node.attrParams.strides?.value),
    dilations: middle(name, node.attrParams.dilations?.value ?? [1, 1, 1, 1]),
    padding: paddingOf(node),
    depthwise: /Depthwise/.test(op),
  };
  const before = batched.get(inputs[0].name);
  const plain = [...conv.strides, ...conv.dilations].every((n) => n === 1) && conv.padding === 'valid';
  if (before && !before.convolve && plain) {
    const convolve = async (padding: Pads, dilations: Pair) =>
      builder.activation(
        name,
        await builder.convolution(name, before.value, { ...conv, padding, dilations }),
        activation,
      );
    batched.set(name, { ...before, convolve });
    return undefined;
  }
  const made = await builder.convolution(name, read(reader, node, inputs[0]), conv);
  return builder.activation(name, made, activation);
}

/** The start of a dilated convolution. */
export async function spaceToBatch(reader: Reader, node: Node): Promise<undefined> {
  const { name, inputs } = node;
  const block = [...(await constantInput(reader, node, 1).data())];
  const [top, bottom, left, right] = await constantInput(reader, node, 2).data();
  check(block.length === 2, `${name}: height and width are what is made batches of`, block);
  reader.batched.set(name, {
    block: [block[0], block[1]],
    pads: [top, left, bottom, right],
    value: read(reader, node, inputs[0]),
  });
}

/** The end of a dilated convolution: what it crops was padding. */
export async function batchToSpace(reader: Reader, node: Node): Promise<Value> {
  const { name, inputs } = node;
  const before = reader.batched.get(inputs[0].name);
  const block = await constantInput(reader, node, 1).data();
  const [top, bottom, left, right] = await constantInput(reader, node, 2).data();
  const crops = [top, left, bottom, right];
  check(
    before?.convolve && `${before.block}` === `${[...block]}`,
    `${name}: it must undo a SpaceToBatchND after one convolution`,
    before ? `blocks of ${[...block]} and ${before.block}` : inputs[0].op,
  );
  const pads = before.pads.map((pad, i) => pad - crops[i]) as unknown as Pads;
  check(
    pads.every((pad) => pad >= 0),
    `${name}: it must crop no more than SpaceToBatchND has padded`,
    crops,
  );
  return before.convolve(pads, before.block);
}

export function fusedOf(reader: Reader, node: Node): { bias?: TfjsTensor; activation?: string } {
  const fused = (node.attrParams.fusedOps?.value ?? []) as string[];
  const names = fused.map((name) => name.toLowerCase());
  if (names[0] !== 'biasadd') {
    check(names[0] !== 'fusedbatchnorm', `${node.name}: batch norm must be a node of its own`, names[0]);
    return { activation: names[0] };
  }
  return { bias: constantInput(reader, node, 2), activation: names[1] };
}
