import { float32, type Generator } from './cases-of.ts';

const EQUATIONS = [
  ...[
    'ij,jk->ik',
    'bij,bjk->bik',
    'bhqd,bhkd->bhqk',
    'bhqk,bkhd->bqhd',
    'i,j->ij',
    'ij->ji',
    'ij->',
    'ij->i',
    'ii->i',
    'ii',
  ],
  ...[
    '...ij,...jk->...ik',
    '...ij->...ji',
    'ij,ij->i',
    'ij,kj,k->i',
    'bqc,bchw->bqhw',
    'ab,cd->abcd',
    'ij,jk',
    'bii->b',
  ],
  ...[
    'abc,cde->abde',
    'nchw,nkc->nkhw',
    'i,i',
    'ij,k->k',
    'b...,b...->b...',
    'ijj,jk->k',
    ' i j , j k -> k i ',
  ],
];

export const einsum: Generator = (random) => {
  const equation = random.pick(EQUATIONS);
  const sizes = new Map<string, number>();
  const sizeOf = (letter: string) => {
    if (!sizes.has(letter)) sizes.set(letter, random.integer(1, 4));
    return sizes.get(letter)!;
  };
  const hidden = Array.from({ length: random.integer(0, 2) }, () => random.integer(1, 3));
  const inputs = equation
    .replaceAll(' ', '')
    .split('->')[0]
    .split(',')
    .map((term) =>
      float32(
        random,
        term.split(/(\.\.\.)|/).flatMap((own) => (own === '...' ? hidden : own ? [sizeOf(own)] : [])),
      ),
    );
  return { inputs, attributes: { equation }, opset: 12 };
};
