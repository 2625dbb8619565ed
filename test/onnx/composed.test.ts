// Operators that others make up, on the GPU, held to ONNX Runtime on cases that nobody chose.
import { describe, expect, test } from 'vitest';
import { attentionOperators } from '../../src/graph/ops/attention.ts';
import { einsumOperators } from '../../src/graph/ops/einsum.ts';
import { gridOperators } from '../../src/graph/ops/grid.ts';
import { indexingOperators } from '../../src/graph/ops/indexing.ts';
import { microsoftOperators } from '../../src/graph/ops/microsoft.ts';
import { positionOperators } from '../../src/graph/ops/positions.ts';
import { recurrentOperators } from '../../src/graph/ops/recurrent.ts';
import { rowOperators } from '../../src/graph/ops/row-functions.ts';
import type { OperatorName } from '../../src/onnx/index.ts';
import { operatorCases, peerName } from '../support/operator-cases.ts';
import { peerApart } from '../support/planned.ts';
import { seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const COUNT = Number(process.env.LLOYD_CASES ?? (THOROUGH ? 150 : 3));

describe('against ONNX Runtime', () => {
  const composed = {
    ...rowOperators,
    ...indexingOperators,
    ...positionOperators,
    ...recurrentOperators,
    ...einsumOperators,
    ...attentionOperators,
    ...microsoftOperators,
    ...gridOperators,
  };
  const names = Object.keys(composed) as OperatorName[];
  test.each(names)(
    `%s, ${COUNT} cases`,
    async (operator) => {
      const wrong: string[] = [];
      for (let seed = 1000; seed < 1000 + COUNT; seed++) {
        const { inputs, attributes, opset, outputs } = operatorCases[operator](seeded(seed));
        const options = { opset, ...(outputs && { outputs }) };
        const made = { operator, inputs, attributes, options, domain: peerName(operator).domain };
        const apart = await peerApart(gpu.runtime, made, 1e-5).catch((error) => String(error.message));
        const shapes = inputs.map((tensor) => tensor && `${tensor.dtype}[${tensor.dims}]`);
        if (apart) wrong.push(`#${seed} (${shapes}) ${JSON.stringify(attributes)} at ${opset}: ${apart}`);
      }
      expect(wrong).toEqual([]);
    },
    600_000,
  );
});
