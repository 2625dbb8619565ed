// The page shows the WGSL of what a session runs, comments and all; of training and clustering it shows none.
import { basename } from 'node:path';

const UNSEEN =
  /gradient|covering-window|broadcast-quads|statistics|batch-norm-merge|sgd-step|cross-entropy|distillation|moving-average|fake-quantize|augment|kmeans/;

/** Leaves the comments of kernels that the page never shows out of the built page: they are a tenth of its shaders. */
export function unseenComments() {
  return {
    name: 'lloyd-unseen-comments',
    apply: 'build',
    transform(code, id) {
      const [file, query] = id.split('?');
      if (query !== 'raw' || !file.endsWith('.wgsl') || !UNSEEN.test(basename(file))) return undefined;
      const text = JSON.parse(code.slice(code.indexOf('"'), code.lastIndexOf('"') + 1));
      const lines = text.split('\n').map((line) => line.replace(/\s*\/\/.*$/, ''));
      return { code: `export default ${JSON.stringify(lines.filter(Boolean).join('\n'))}`, map: null };
    },
  };
}
