import { check } from '../gpu/errors.ts';
import type { Budget } from '../io/budget.ts';
import {
  ATTRIBUTE,
  type AttributeProto,
  type FunctionProto,
  type ModelProto,
  type NodeProto,
} from './proto/messages.ts';
import { joined, textField } from './proto/write.ts';
import { DAMAGED, type Refusals } from './refusals.ts';
import { uniqueNames } from './unique-names.ts';

/** What an inlined node takes beside its names. */
const NODE_BYTES = 500;
/** Functions that call each other this deep are no network. */
const MOST_CALLS = 32;

const CURE = 'inline them with ONNX’s own tools';

/** Opsets by domain, '' for ONNX's own. */
export type Opsets = ReadonlyMap<string, number>;
/** `ai.onnx` is ONNX's own domain by its long name. */
export const plainDomain = (domain: string) => (domain === 'ai.onnx' ? '' : domain);

/** A model's functions by what calls them. */
const keyOf = (domain: string, name: string, overload: string) =>
  JSON.stringify([plainDomain(domain), name, overload]);

/**
 * The nodes of a graph with every call of one of the model's own functions replaced by the function's nodes. Values and
 * nodes inside are called `<call>/<name>`.
 *
 * @param budget pays for what is made: functions that call each other twice make 2^n nodes of n
 * @param taken names of the graph's values, to which those of the functions are added
 * @param refusals takes what cannot be inlined, by the call's name
 */
export function inlineFunctions(
  { functions }: ModelProto,
  nodes: readonly NodeProto[],
  opsets: Opsets,
  budget: Budget,
  taken: Set<string>,
  refusals: Refusals,
): NodeProto[] {
  if (functions.length === 0) return [...nodes];
  const byKey = new Map(functions.map((body) => [keyOf(body.domain, body.name, body.overload), body]));
  const made: NodeProto[] = [];
  const expand = (node: NodeProto, name: string, depth: number) => {
    const body = byKey.get(keyOf(node.domain, node.op, node.overload));
    if (!body) return made.push(node);
    check(
      depth < MOST_CALLS,
      `${name} (${node.op}): functions must call each other at most ${MOST_CALLS} deep`,
      'more',
      CURE,
    );
    const other = body.opsets.find(
      ({ domain, version }) => (opsets.get(plainDomain(domain)) ?? version) !== version,
    );
    if (other) {
      return refusals.add(
        name,
        `its function follows opset ${other.version} of ${other.domain || 'ai.onnx'}, the model another`,
      );
    }
    const withGraph = body.nodes.find(({ attributes }) => attributes.some(isGraph));
    if (withGraph) {
      return refusals.add(
        name,
        `${withGraph.op} in its function has a subgraph, whose values cannot be renamed`,
      );
    }
    const inner = calledNodes({ ...node, name }, body, taken, budget);
    for (const called of inner) {
      const text = [called.name, ...called.inputs, ...called.outputs].reduce(
        (sum, { length }) => sum + length,
        0,
      );
      budget.spend(NODE_BYTES + text, 'the nodes of inlined functions', CURE);
      expand(called, called.name, depth + 1);
    }
  };
  const names = uniqueNames(nodes);
  for (const [i, node] of nodes.entries()) expand(node, names[i], 0);
  return made;
}

/** One of the function's own: what a call hands in has the call's names. */
const isGraph = ({ type, refersTo }: AttributeProto) =>
  refersTo === '' && (type === ATTRIBUTE.GRAPH || type === ATTRIBUTE.GRAPHS);

/** A function's nodes as one call has them. */
function calledNodes(call: NodeProto, body: FunctionProto, taken: Set<string>, budget: Budget): NodeProto[] {
  const label = `${call.name} (${call.op})`;
  check(
    call.inputs.length <= body.inputs.length && call.outputs.length <= body.outputs.length,
    `${label}: its function has ${body.inputs.length} inputs and ${body.outputs.length} outputs`,
    `${call.inputs.length} and ${call.outputs.length}`,
    DAMAGED,
  );
  const names = new Map<string, string>([['', '']]);
  for (const [i, input] of body.inputs.entries()) names.set(input, call.inputs[i] ?? '');
  const passed: [string, string][] = [];
  for (const [i, output] of body.outputs.entries()) {
    const outer = call.outputs[i] ?? '';
    if (outer === '') continue;
    const inner = names.get(output);
    if (inner === undefined) names.set(output, outer);
    else passed.push([inner, outer]);
  }
  const inside = (name: string) => {
    let own = names.get(name);
    if (own === undefined) {
      own = `${call.name}/${name}`;
      for (; taken.has(own); own = `${own}_`) budget.spend(own.length, 'names in functions', CURE);
      taken.add(own);
      names.set(name, own);
    }
    return own;
  };
  const nodes = body.nodes.map(
    (node, i): NodeProto => ({
      ...node,
      name: `${call.name}/${node.name || `${node.op}_${i}`}`,
      inputs: node.inputs.map(inside),
      outputs: node.outputs.map(inside),
      attributes: node.attributes.flatMap((attribute) => resolved(attribute, call, body)),
    }),
  );
  // A function may hand on an input as an output, or one value as two.
  for (const [i, [from, to]] of passed.entries()) {
    nodes.push({
      ...{ op: 'Identity', domain: '', overload: '', attributes: [] },
      ...{ name: `${call.name}/Identity_${i}`, inputs: [from], outputs: [to] },
    });
  }
  return nodes;
}

/** An attribute of a node in a function: its own, the call's, the function's default, or none. */
function resolved(attribute: AttributeProto, call: NodeProto, body: FunctionProto): AttributeProto[] {
  if (attribute.refersTo === '') return [attribute];
  const named = (list: readonly AttributeProto[]) => list.find(({ name }) => name === attribute.refersTo);
  const given = named(call.attributes) ?? named(body.defaults);
  if (!given) return [];
  const { name } = attribute;
  // Of a field that comes twice protobuf takes the last.
  const bytes = given.name === name ? given.bytes : joined([given.bytes, textField(1, name)]);
  return [{ ...given, name, bytes, refersTo: '' }];
}
