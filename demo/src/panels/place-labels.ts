interface Label {
  /** The point that the label names. */
  x: number;
  y: number;
  width: number;
  height: number;
  /** Left out where it would not stand right beside its point. */
  optional: boolean;
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Puts each label beside its point where it covers neither a point nor a label placed before it: right, left, above
 * or below, else ever lower.
 *
 * @param gap from a point's middle to its label
 * @param obstacles what else must not be covered
 */
export function placeLabels<L extends Label>(
  labels: readonly L[],
  bounds: Box,
  gap: number,
  obstacles: readonly Box[] = [],
): (L & { left: number; top: number })[] {
  const around = (r: number) => (p: Label) => ({ left: p.x - r, top: p.y - r, width: 2 * r, height: 2 * r });
  const taken: Box[] = [...obstacles, ...labels.map(around(gap * 0.7))];
  return labels.flatMap((label) => {
    const { x, y, width, height } = label;
    const place = (left: number, top: number) => ({ left, top, width, height });
    const [middle, above, below] = [y - height / 2, y - height - gap * 0.6, y + gap * 0.6];
    const beside = [
      place(x + gap, middle),
      place(x - gap - width, middle),
      place(x - width / 2, above),
      place(x - width / 2, below),
    ];
    const farther = [1, 2, 3, 4].flatMap((n) => [
      place(x + gap, middle + n * height),
      place(x - gap - width, middle + n * height),
    ]);
    const inside = (b: Box) =>
      b.left >= bounds.left &&
      b.left + b.width <= bounds.left + bounds.width &&
      b.top >= bounds.top - height / 2 &&
      b.top + b.height <= bounds.top + bounds.height;
    const free = (b: Box) => inside(b) && !taken.some((other) => overlap(b, other));
    const places = label.optional ? beside : [...beside, ...farther];
    const box = places.find(free) ?? (label.optional ? undefined : (places.find(inside) ?? places[0]));
    if (!box) return [];
    taken.push(box);
    return [{ ...label, left: box.left, top: box.top }];
  });
}

function overlap(a: Box, b: Box): boolean {
  return (
    a.left < b.left + b.width &&
    b.left < a.left + a.width &&
    a.top < b.top + b.height &&
    b.top < a.top + a.height
  );
}
