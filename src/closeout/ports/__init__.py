"""The seams: a narrow Protocol for each outside thing that has two users or more, and the values that pass through it.

`durable` is what runs and engines use, `ledger` what the program needs of a store, `clients` the world outside. A port
that only one module needs is in or next to that module.
"""

from closeout.ports.access import Credential, Credentials
from closeout.ports.clients import (
    AwsTarget,
    ClientFactory,
    Clients,
    GitHub,
    GitHubRequests,
    Http,
    HttpAnswer,
    PullRequest,
    Secrets,
)
from closeout.ports.durable import (
    AcceptedRun,
    ClaimStatus,
    Clock,
    Doubt,
    Durable,
    EffectBegin,
    Ending,
    Execution,
    Journal,
    Json,
    Loaded,
    Operation,
    Pending,
    Request,
    RunFunction,
    RunRecord,
    Switch,
    WakeUp,
)
from closeout.ports.ledger import (
    Attempts,
    DeliveryId,
    DeliveryView,
    Incoming,
    LedgerReader,
    LogLine,
    LogWindow,
    PageReader,
    Requests,
    RunReader,
    RunView,
    ServerLedger,
    StepView,
)
from closeout.ports.lists import (
    EVERY_DELIVERY,
    EVERY_RUN,
    UNFINISHED,
    DayTally,
    DeliveryFilter,
    ListPage,
    RunFilter,
)
from closeout.ports.patrol import GitHubReads, Page, PatrolStore
from closeout.ports.problems import ProblemStore
