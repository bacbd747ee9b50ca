import type { Clock } from '@dynflow/kernel';

interface Appointment {
  readonly atMs: number;
  readonly number: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. Appointments are kept in the order of their time, then in the order they were made. */
export class ManualClock implements Clock {
  #nowMs: number;
  #made = 0;
  readonly #appointments = new Set<Appointment>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    this.#made += 1;
    const appointment: Appointment = { atMs, number: this.#made, callback };
    this.#appointments.add(appointment);
    return () => void this.#appointments.delete(appointment);
  }

  /** How many appointments are still to come. */
  get pending(): number {
    return this.#appointments.size;
  }

  /** When the next one is (epoch milliseconds); null: there is none. */
  get nextAtMs(): number | null {
    return this.#next()?.atMs ?? null;
  }

  /** Lets time pass and keeps every appointment that falls into it, each at its own time; also those that are made meanwhile. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) {
      this.#appointments.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  /** Puts the clock forward or back without keeping appointments, as when an operator sets the machine's time. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Forgets all appointments, as the end of a process does. */
  clear(): void {
    this.#appointments.clear();
  }

  #next(): Appointment | undefined {
    let first: Appointment | undefined;
    for (const appointment of this.#appointments) {
      const isEarlier = first === undefined || appointment.atMs < first.atMs;
      if (isEarlier || (appointment.atMs === first?.atMs && appointment.number < first.number)) {
        first = appointment;
      }
    }
    return first;
  }
}
