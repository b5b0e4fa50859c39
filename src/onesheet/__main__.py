"""`python -m onesheet`, and `torchrun … -m onesheet`."""

from onesheet.cli import main

raise SystemExit(main())
