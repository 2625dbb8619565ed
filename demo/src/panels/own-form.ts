import type { App } from '../app.ts';
import { choice, h, newId, select, textField } from '../dom.ts';
import { type CheckRequest, type OwnNetwork, precisions, type SampleRequest } from '../protocol.ts';
import { many } from '../text.ts';
import { rowCheckbox } from './compare-form.ts';
import { dropZone } from './drop.ts';

/** What a software adapter has time for; a GPU takes all of them. */
const FIRST: readonly string[] = ['linear-8', 'kmeans-4'];
/** Where a network leaves its pictures' size open. */
const USUAL_SIDE = 224;

type Source = SampleRequest['source'];

/** To which precisions, and on which inputs. */
export function ownForm(
  app: App,
  { start, cancel, tell }: { start(): void; cancel(): void; tell(text: string): void },
) {
  const cpu = app.opened.adapter.profile === 'cpu';
  const boxes = precisions.map((name) => ({ name, ...rowCheckbox(name, !cpu || FIRST.includes(name)) }));
  const id = newId('form');
  const run = h('button', { type: 'submit', form: id, class: 'primary' }, 'Run');
  const stop = h('button', { type: 'button', disabled: true, onClick: cancel }, 'Cancel');
  const json = h('a', { class: 'button', download: 'lloyd-check.json', hidden: true }, 'Save JSON');
  const size = textField('Size', '', { placeholder: '224 x 224', name: 'size' });
  const mean = textField('Mean', '0', { name: 'mean' });
  const std = textField('Deviation', '1', { name: 'std' });
  const layout = select(
    'Layout',
    [
      ['', 'by its shape'],
      ['nchw', 'nchw'],
      ['nhwc', 'nhwc'],
    ],
    { name: 'layout' },
  );
  const pictured = h('p', { class: 'status', role: 'status' });
  const drop = dropZone('Drop pictures here, or choose them.', 'image/*', (_, all) => takePictures(all), {
    multiple: true,
  });
  const ofPictures = h(
    'div',
    { class: 'settings' },
    size.field,
    layout.field,
    mean.field,
    std.field,
    h(
      'p',
      { class: 'note wide' },
      'Pixels of 0 to 1, less the mean, by the deviation: one number, or one a channel with commas.',
    ),
  );
  const shapes = h('div', { class: 'settings' });
  const sources = h('div');
  const quantize = h(
    'fieldset',
    { class: 'rows' },
    h('legend', {}, h('b', {}, 'Quantize to'), h('span', {}, 'linear in integers, k-means in floats')),
    ...boxes.map(({ label }) => label),
  );
  let files: File[] = [];
  let source: Source = 'synthetic';
  let network: OwnNetwork | undefined;
  let fields: { name: string; input: HTMLInputElement }[] = [];

  function takePictures(all: File[]): void {
    files = all;
    pictured.textContent = `${many(files.length, 'picture')} chosen.`;
  }
  const showSource = () => {
    drop.hidden = pictured.hidden = source !== 'pictures';
    const { takes, inputs } = network!;
    const isSaid = source === 'cifar10' || inputs.every(({ shape }) => sizeOf(shape) !== null);
    size.field.hidden = !takes.pictures || isSaid;
    ofPictures.hidden = !takes.pictures;
  };

  const element = h(
    'form',
    {
      id,
      class: 'controls',
      onSubmit: (event: Event) => {
        event.preventDefault();
        start();
      },
    },
    quantize,
    h(
      'fieldset',
      { class: 'stack' },
      h('legend', {}, h('b', {}, 'Inputs'), h('span', {}, 'they calibrate it, and it is checked on them')),
      sources,
      drop,
      pictured,
      ofPictures,
      shapes,
    ),
  );
  return {
    element,
    buttons: h('div', { class: 'buttons' }, run, stop, json),
    /** Shows what a network leaves to be said. */
    fit(given: OwnNetwork) {
      network = given;
      const { pictures, cifar10 } = given.takes;
      source = cifar10 ? 'cifar10' : 'synthetic';
      files = [];
      pictured.textContent = '';
      size.input.value = pictures && !cifar10 ? `${USUAL_SIDE} x ${USUAL_SIDE}` : '';
      quantize.hidden = given.row !== 'fp32';
      const offered: (readonly [Source, string])[] = [
        ['synthetic', 'synthetic'],
        ...(pictures ? [['pictures', 'pictures'] as const] : []),
        ...(cifar10 ? [['cifar10', 'CIFAR-10'] as const] : []),
      ];
      sources.replaceChildren(
        choice('Kind', offered, source, (value) => {
          source = value;
          showSource();
        }),
      );
      fields = pictures ? [] : given.inputs.filter(({ shape }) => isOpen(shape)).map(shapeField);
      shapes.replaceChildren(...fields.map(({ input }) => input.parentElement!));
      showSource();
      run.disabled = given.nodes.refused.length > 0;
      json.hidden = true;
    },
    /** What is asked for; nothing, with a word about it, where a field doesn't say it. */
    request(): CheckRequest | undefined {
      try {
        const wide = size.field.hidden ? undefined : sizeFrom(size.input.value);
        return {
          precisions: boxes.filter(({ input }) => input.checked).map(({ name }) => name),
          samples: {
            source,
            files: source === 'pictures' ? files : [],
            settings: {
              ...wide,
              mean: numbersFrom('Mean', mean.input.value),
              std: numbersFrom('Deviation', std.input.value),
              ...(layout.input.value && { layout: layout.input.value as 'nchw' | 'nhwc' }),
            },
            shapes: Object.fromEntries(
              fields.map(({ name, input }) => [name, numbersFrom(`The shape of ${name}`, input.value)]),
            ),
          },
        };
      } catch (error) {
        tell((error as Error).message);
        return undefined;
      }
    },
    running(yes: boolean) {
      run.disabled = yes || (network?.nodes.refused.length ?? 0) > 0;
      stop.disabled = !yes;
      if (yes) json.hidden = true;
    },
    offer(file: Blob) {
      if (json.href) URL.revokeObjectURL(json.href);
      json.href = URL.createObjectURL(file);
      json.hidden = false;
    },
  };
}

/** Its first dimension is how many there are at once: one. */
const isOpen = (shape: readonly (number | string)[]) => shape.slice(1).some((dim) => typeof dim === 'string');

/** Height and width of a shape of pictures; null where it leaves them open. */
function sizeOf(shape: readonly (number | string)[]): [number, number] | null {
  const [, a, b, c] = shape;
  const [height, width] = a === 1 || a === 3 || a === 4 ? [b, c] : [a, b];
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : null;
}

function shapeField({ name, shape }: OwnNetwork['inputs'][number]) {
  const value = shape.map((dim) => (typeof dim === 'number' ? dim : 1)).join(', ');
  const { input } = textField(`Shape of ${name} [${shape.join(', ')}]`, value, { name: 'shape' });
  return { name, input };
}

function sizeFrom(text: string): { width: number; height: number } {
  const [, width, height] = /^\s*([1-9]\d{0,4})\s*[x×]\s*([1-9]\d{0,4})\s*$/i.exec(text) ?? [];
  if (!width) throw new Error(`Size must be width x height; received "${text}"; for example 224 x 224.`);
  return { width: Number(width), height: Number(height) };
}

function numbersFrom(what: string, text: string): number[] {
  const numbers = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  if (numbers.length === 0 || !numbers.every(Number.isFinite))
    throw new Error(
      `${what} must be numbers with commas between them; received "${text}"; for example 1, 3.`,
    );
  return numbers;
}
