"""The operator's admin: superusers only, every organisation in view; it holds no table of its own."""

from functools import wraps
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin, ShowFacets, SimpleListFilter
from django.contrib.admin import site as admin_site
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from instruments.tenancy import all_organisations

Row = TypeVar("Row", bound=models.Model)


class OperatorSite(AdminSite):
    """Django's admin in which every view sees all organisations until its page has been rendered."""

    site_title = _("Cirrusweb administration")
    site_header = _("Cirrusweb administration")
    index_title = _("The installation")

    def has_permission(self, request: HttpRequest) -> bool:
        """The admin sees every organisation, so being "staff" is not enough."""
        return bool(request.user.is_active and request.user.is_superuser)

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Everybody's own sign-in: Django's form here would ask for no second factor and know no limits."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Open the scope inside Django's own check of the person: nobody else's request ever runs in it."""

        @wraps(view)
        def seeing_all(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            with all_organisations(reason="the operator's admin"):
                response = view(request, *args, **kwargs)
                # Lists are lazy: rendered later, their queries would run without a scope.
                if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                    response = response.render()
                return response

        return super().admin_view(seeing_all, cacheable)


def asked_first(
    request: HttpRequest, chosen: Any, *, title: str, told: str, button: str
) -> HttpResponse | None:
    """The page that asks before an action touches ``chosen``; None once it was answered, or for none.

    To be called first by an action that cannot be taken back: Django asks for none but its own deletion.
    """
    if request.POST.get("sure") or not chosen:
        return None
    context = {"title": title, "told": told, "button": button, "chosen": chosen, "opts": chosen.model._meta}
    return TemplateResponse(request, "admin/ask.html", {**admin_site.each_context(request), **context})


class NearPaginator(Paginator):
    """Pages of the first rows only: counting a million takes longer than anybody would leaf through them."""

    furthest = 5_000

    @cached_property
    def count(self) -> int:
        """How many rows there are, as far as anybody looks."""
        # Without order: to count the first of a sorted million the database would sort them all.
        rows: Any = self.object_list
        return int(rows.order_by()[: self.furthest].count())


class KnownWords(SimpleListFilter):
    """Known words of a free column; Django's own filter would read every row to find out which there are."""

    known: ClassVar[Any] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Each with what it is called."""
        return list(self.known)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The rows with the chosen one."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class RemovedByCommand(ModelAdmin):
    """Rows on which a great deal hangs: a page that listed it all, and one transaction for it, would never end."""

    # The command, and the field that it takes.
    removal: ClassVar[tuple[str, str]]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Say how it is done."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        command, field = self.removal
        told = _("Much may hang on it, so it is deleted on the server: manage.py %(command)s %(name)s")
        messages.warning(request, told % {"command": command, "name": getattr(row, field)})
        return redirect(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", object_id)

    def get_actions(self, request: HttpRequest) -> Any:
        """Without the one that deletes all that were chosen."""
        return {
            name: action for name, action in super().get_actions(request).items() if name != "delete_selected"
        }


class OrgOwnedAdmin(ModelAdmin, Generic[Row]):
    """Lists of organisation-owned rows that stay quick when there are many: no full count, no query per row."""

    ordering = ("-pk",)
    # By any other column the database would sort the whole table for one page of it.
    sortable_by: ClassVar[Any] = ()
    paginator = NearPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_select_related: ClassVar[Any] = ("organisation",)
    autocomplete_fields: ClassVar[Any] = ("organisation",)


class MirrorAdmin(OrgOwnedAdmin[Row]):
    """Rows that the software writes: to be looked at, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
