"""A school's own system takes a report inside its own SQLAlchemy transaction: both are kept, or neither.

Run it anywhere: `python examples/embedding.py`. It makes a database in a temporary folder and removes it again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import crisis_engine as ce
from crisis_engine.example import example_roster

CLASS = "xinyang/shihe/no-3/g7/c2"


def send_form(engine: ce.Engine, session: Session, form: str, facts: str) -> ce.Receipt:
    """Keep the host's own row and the report in the host's transaction; the form's id makes a second click harmless."""
    session.execute(text("INSERT INTO host_form (id) VALUES (:id)"), {"id": form})
    with engine.join(session) as joined:  # the same calls as on `engine`; the host alone commits or rolls back
        return joined.report(unit=CLASS, subject="stu-42", by="p-71", facts=facts, cues=["withdrawn"], key=form)


def main() -> None:
    """Commit one form, roll another back, and show what is left of each."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'school.db'}"
        host = create_engine(url)
        with ce.open_engine(url) as engine:  # our tables begin with crisis_ and live beside the host's
            engine.import_roster(example_roster())
            with Session(host) as session, session.begin():
                session.execute(text("CREATE TABLE host_form (id TEXT PRIMARY KEY)"))

            with Session(host) as session, session.begin():
                receipt = send_form(engine, session, "form-1", "She has sat alone for days and hardly speaks.")

            with Session(host) as session:
                send_form(engine, session, "form-2", "This one is never kept.")
                session.rollback()  # the host's own check failed, say
                print("form-2: rolled back by the host")

            with Session(host) as session:
                forms = session.execute(text("SELECT id FROM host_form")).scalars().all()
            waiting = engine.queue(by="p-11")

        host.dispose()
        print(f"form-1: kept, receipt of {len(receipt.token)} letters")
        print(f"host's forms: {', '.join(forms)}")
        print(f"class teacher's queue: {len(waiting)} case, due first: {waiting[0].clock}")


if __name__ == "__main__":
    main()
