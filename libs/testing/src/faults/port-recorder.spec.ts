import { describe, expect, it } from 'vitest';
import { PortRecorder, nameOfPoint } from './port-recorder.js';

/** A port with all that ports have: private state, promises, other ports inside and as results, callbacks. */
class Shop {
  readonly #sold: string[] = [];
  readonly till = { count: () => this.#sold.length };
  readonly name = 'shop';

  sell(what: string): string {
    this.#note(what);
    return what;
  }

  async deliver(what: string): Promise<{ goods: string; sign(): string }> {
    await Promise.resolve();
    return { goods: what, sign: () => `signed ${what}` };
  }

  refuse(): never {
    throw new RangeError('closed');
  }

  stock(): Map<string, number> {
    return new Map([['bread', 2]]);
  }

  async ask(question: (price: number) => Promise<string>): Promise<string> {
    return question(this.#sold.length);
  }

  #note(what: string): void {
    this.#sold.push(what);
  }
}

function recorded(): { shop: Shop; points: string[] } {
  const points: string[] = [];
  const recorder = new PortRecorder((point) => points.push(nameOfPoint(point)));
  return { shop: recorder.wrap('Shop', new Shop()), points };
}

describe('PortRecorder', () => {
  it('tells of each call before it begins and when it has ended, numbered by method', () => {
    const { shop, points } = recorded();
    expect([shop.sell('bread'), shop.sell('milk'), shop.till.count(), shop.name]).toEqual(['bread', 'milk', 2, 'shop']);
    expect(points).toEqual([
      'Shop.sell#1 before',
      'Shop.sell#1 after',
      'Shop.sell#2 before',
      'Shop.sell#2 after',
      'Shop.till.count#1 before',
      'Shop.till.count#1 after',
    ]);
  });

  it('waits for the promise of a call, and records what has methods among its results', async () => {
    const { shop, points } = recorded();
    const delivery = shop.deliver('milk');
    expect(points).toEqual(['Shop.deliver#1 before']);
    const parcel = await delivery;
    expect([parcel.goods, parcel.sign()]).toEqual(['milk', 'signed milk']);
    expect(points.slice(1)).toEqual(['Shop.deliver#1 after', 'Shop.deliver.sign#1 before', 'Shop.deliver.sign#1 after']);
  });

  it('records callbacks that are handed in, inside the call that calls them', async () => {
    const { shop, points } = recorded();
    shop.sell('bread');
    points.length = 0;
    expect(await shop.ask(async (price) => Promise.resolve(`${price} it is`))).toBe('1 it is');
    expect(points).toEqual(['Shop.ask#1 before', 'Shop.ask()#1 before', 'Shop.ask()#1 after', 'Shop.ask#1 after']);
  });

  it('lets through what a call throws, and collections as they are', () => {
    const { shop, points } = recorded();
    expect(() => shop.refuse()).toThrow(new RangeError('closed'));
    expect(points).toEqual(['Shop.refuse#1 before']);
    expect(shop.stock().get('bread')).toBe(2);
  });

  it('gives the same wrapped object and method each time, so that they can be compared and taken away again', () => {
    const recorder = new PortRecorder(() => undefined);
    const port = new Shop();
    const shop = recorder.wrap('Shop', port);
    expect(recorder.wrap('Shop', port)).toBe(shop);
    expect(shop.till).toBe(shop.till);
    expect(shop.sell).toBe(shop.sell);
  });
});
