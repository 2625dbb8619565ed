import { h } from '../dom.ts';
import type { OwnNetwork } from '../protocol.ts';
import { bytesText, count, many } from '../text.ts';

/** What a network is, and every node that keeps it from running here. */
export function networkReport({ name, fileBytes, nodes, weights, inputs, outputs }: OwnNetwork): HTMLElement {
  const { total, supported, refused } = nodes;
  const facts: [term: string, text: string][] = [
    ['Nodes', `${count(supported)} of ${count(total)} run on the GPU`],
    ['Size', `${bytesText(fileBytes)}, ${many(weights, 'number')} in it`],
    [
      inputs.length === 1 ? 'Input' : 'Inputs',
      inputs.map((input) => `${input.name} [${input.shape.join(', ')}] ${input.dtype}`).join('; '),
    ],
    [outputs.length === 1 ? 'Output' : 'Outputs', outputs.join(', ')],
  ];
  return h(
    'section',
    { class: 'stack' },
    h('h2', {}, name),
    h('dl', { class: 'facts' }, ...facts.flatMap(([term, text]) => [h('dt', {}, term), h('dd', {}, text)])),
    refused.length > 0 && refusedTable(refused),
  );
}

function refusedTable(refused: OwnNetwork['nodes']['refused']): HTMLElement {
  const heads = ['Node', 'Operator', 'Why it can’t run'];
  const cell = (i: number, text: string) => h('td', { 'data-label': heads[i] }, text);
  return h(
    'table',
    { class: 'results refused', role: 'table' },
    h('caption', {}, `What keeps it from running: ${many(refused.length, 'node')}`),
    h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
    h(
      'tbody',
      {},
      ...refused.map(({ node, op, domain, attribute, reason }) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, node),
          cell(1, domain ? `${domain}.${op}` : op),
          cell(2, attribute === undefined ? reason : `${attribute}: ${reason}`),
        ),
      ),
    ),
  );
}
