/** Where an item stands among the others. */
export interface Standing {
  /** The higher number goes first. */
  readonly priority: number;
  /** Those of one parent wait in one line; the lines take turns. */
  readonly parent: string;
  /** In a line the lower number goes first. */
  readonly age: number;
}

interface Entry<T> {
  readonly age: number;
  readonly item: T;
}

interface Level<T> {
  readonly lines: Map<string, Line<T>>;
  readonly turns: Ring<Line<T>>;
}

/**
 * What waits for its turn: by priority, then round robin between parents, then by age. Adding and taking cost the logarithm of the number
 * of items of one parent; the number of different priorities is taken to be small.
 */
export class FairQueue<T> {
  readonly #levels = new Map<number, Level<T>>();
  /** Highest first. */
  #priorities: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T, { priority, parent, age }: Standing): void {
    const level = this.#levels.get(priority) ?? this.#addLevel(priority);
    let line = level.lines.get(parent);
    if (line === undefined) {
      line = new Line(parent);
      level.lines.set(parent, line);
      level.turns.push(line);
    }
    line.push({ age, item });
    this.#size += 1;
  }

  /** The item whose turn it is; it stays. */
  peek(): T | undefined {
    return this.#first()?.turns.peek()?.peek()?.item;
  }

  /** Takes the item whose turn it is; its parent's next one comes after one of each other parent. */
  pop(): T | undefined {
    const level = this.#first();
    const line = level?.turns.shift();
    const entry = line?.pop();
    if (level === undefined || line === undefined || entry === undefined) {
      return undefined;
    }
    this.#size -= 1;
    if (line.size > 0) {
      level.turns.push(line);
    } else {
      level.lines.delete(line.parent);
      if (level.lines.size === 0) {
        this.#levels.delete(this.#priorities.shift() ?? 0);
      }
    }
    return entry.item;
  }

  #first(): Level<T> | undefined {
    const [priority] = this.#priorities;
    return priority === undefined ? undefined : this.#levels.get(priority);
  }

  #addLevel(priority: number): Level<T> {
    const level: Level<T> = { lines: new Map(), turns: new Ring() };
    this.#levels.set(priority, level);
    this.#priorities = [...this.#priorities, priority].sort((a, b) => b - a);
    return level;
  }
}

/** First in, first out, without moving what is behind. */
class Ring<T> {
  #items: T[] = [];
  #head = 0;

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    this.#head += item === undefined ? 0 : 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** The items of one parent: a binary heap by age. */
class Line<T> {
  readonly #heap: Entry<T>[] = [];

  constructor(readonly parent: string) {}

  get size(): number {
    return this.#heap.length;
  }

  peek(): Entry<T> | undefined {
    return this.#heap[0];
  }

  push(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    for (let up = (at - 1) >> 1; at > 0 && ageOf(heap[up]) > entry.age; up = (at - 1) >> 1) {
      heap[at] = heap[up] ?? entry;
      heap[up] = entry;
      at = up;
    }
  }

  pop(): Entry<T> | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) {
      return first;
    }
    heap[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const least = ageOf(heap[left + 1]) < ageOf(heap[left]) ? left + 1 : left;
      const child = heap[least];
      if (child === undefined || child.age >= last.age) {
        return first;
      }
      heap[at] = child;
      heap[least] = last;
      at = least;
    }
  }
}

function ageOf(entry: { readonly age: number } | undefined): number {
  return entry?.age ?? Infinity;
}
