import type { NodeProto } from './proto/messages.ts';

/** Names of nodes: their own where no earlier node has it, else with their place, or their operator and place. */
export function uniqueNames(nodes: readonly NodeProto[]): string[] {
  const given = new Set(nodes.map(({ name }) => name));
  const taken = new Set<string>();
  return nodes.map(({ name, op }, i) => {
    let own = name;
    if (own === '' || taken.has(own)) {
      own = name === '' ? `${op}_${i}` : `${name}_${i}`;
      while (given.has(own) || taken.has(own)) own = `${own}_${i}`;
    }
    taken.add(own);
    return own;
  });
}
